//! What happens between a request and the work that it asks for: images are loaded and shaders are compiled, side by
//! side. Other requests are answered meanwhile. Never begins the work itself.

use std::pin::Pin;
use std::rc::Rc;

use futures_util::future::{Either, select};
use inkling_core::protocol::{CommandName, EngineKind, EvaluationSpec, Event, Fault};
use inkling_core::spec::{Recipe, TrainSpec};

use super::images::{Selection, SharedDataset};
use super::training_run::Position;
use super::{Host, Images, Reply};
use crate::device::Engine;
use crate::train::Trainer;

/// Work that goes on while the session answers requests.
type Pending<T> = Pin<Box<dyn Future<Output = Result<T, Fault>>>>;

/// A request whose images or shaders are not ready yet.
pub struct Preparation<H> {
    /// Sends events in the name of the request.
    pub reply: Reply<H>,
    /// What begins afterwards.
    pub goal: Goal,
    /// The run was paused before it began.
    pub paused: bool,
    compile: Option<Pending<()>>,
    images: Option<Pending<SharedDataset>>,
    loaded: Option<SharedDataset>,
}

/// A run restored from a checkpoint, whose images are not loaded yet.
pub struct RestoredRun {
    pub(super) position: Position,
    pub(super) trainer: Trainer,
}

/// What begins after a preparation.
pub enum Goal {
    /// A new run.
    Start(TrainSpec),
    /// A run that was restored from a checkpoint.
    Restore(Box<RestoredRun>),
    /// An evaluation.
    Evaluate(EvaluationSpec),
}

impl Goal {
    /// The command that asked for it.
    pub fn command(&self) -> CommandName {
        match self {
            Self::Start(_) => CommandName::Start,
            Self::Restore(_) => CommandName::Restore,
            Self::Evaluate(_) => CommandName::Evaluate,
        }
    }

    /// Whether a run begins.
    pub fn is_run(&self) -> bool {
        !matches!(self, Self::Evaluate(_))
    }

    fn selection(&self) -> Selection {
        let of = |spec: &TrainSpec| Selection {
            dataset: spec.dataset.clone(),
            split: spec.split,
            split_seed: spec.split_seed,
        };
        match self {
            Self::Start(spec) => of(spec),
            Self::Restore(restored) => of(&restored.position.spec),
            Self::Evaluate(spec) => {
                Selection { dataset: spec.dataset.clone(), split: spec.split, split_seed: spec.split_seed }
            }
        }
    }

    fn trained(&self) -> Option<&TrainSpec> {
        match self {
            Self::Start(spec) => Some(spec),
            Self::Restore(restored) => Some(&restored.position.spec),
            Self::Evaluate(_) => None,
        }
    }
}

impl<H: Host> Preparation<H> {
    /// Begins to load the images of `goal` and, for a run, to compile its shaders.
    pub fn begin(goal: Goal, engine: &Engine, images: Rc<Images>, reply: Reply<H>) -> Self {
        // The CPU engine has nothing to compile.
        let compiles = |_: &&TrainSpec| engine.report.kind != EngineKind::Cpu;
        let compile = goal.trained().filter(compiles).map(|spec| compile(engine.clone(), spec, reply.clone()));
        let (selection, host) = (goal.selection(), reply.clone());
        let images: Pending<_> = Box::pin(async move { images.load(&selection, &*host).await });
        Self { reply, goal, paused: false, compile, images: Some(images), loaded: None }
    }

    /// Whether other requests can be handled meanwhile. Not while shaders are compiled: what another request launches
    /// would be compiled with them.
    pub fn is_interruptible(&self) -> bool {
        self.compile.is_none()
    }

    /// Continues until shaders or images are ready; returns the images once both are. Dropping the future loses
    /// nothing.
    ///
    /// # Errors
    /// When the images cannot be loaded, or the shaders not be compiled.
    pub async fn advance(&mut self) -> Result<Option<SharedDataset>, Fault> {
        let (compiled, loaded) = match (&mut self.compile, &mut self.images) {
            (Some(compile), Some(images)) => match select(compile, images).await {
                Either::Left((compiled, _)) => (Some(compiled), None),
                Either::Right((loaded, _)) => (None, Some(loaded)),
            },
            (Some(compile), None) => (Some(compile.await), None),
            (None, Some(images)) => (None, Some(images.await)),
            (None, None) => (None, None),
        };
        if let Some(compiled) = compiled {
            self.compile = None;
            compiled?;
        }
        if let Some(loaded) = loaded {
            self.images = None;
            self.loaded = Some(loaded?);
        }
        let ready = self.compile.is_none() && self.images.is_none();
        Ok(self.loaded.take_if(|_| ready))
    }
}

fn compile<H: Host>(engine: Engine, spec: &TrainSpec, reply: Reply<H>) -> Pending<()> {
    let (model, recipe): (_, Recipe) = (spec.model, spec.recipe.clone());
    Box::pin(async move { engine.prepare(model, &recipe, |progress| reply.emit(Event::Progress(progress))).await })
}
