//! A step shared out among workers: the same result whoever computes, and whoever is lost on the way.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

use burn::tensor::{Device, Tensor};
use inkling_core::data::{Dataset, Split, synthetic};
use inkling_core::protocol::{Command, CrewReport, EngineRequest, Event, Fault};
use inkling_core::run::{Run, State};
use inkling_core::spec::{Augment, DatasetId, EngineChoice, ModelId, OptimizerId, Recipe, TrainSpec};
use inkling_engine::batch::{self, Batch, Gathered, Picks};
use inkling_engine::network::DropoutKey;
use inkling_engine::session::{Answer, Host, Mate, Session};
use inkling_engine::train::{Replica, Share, Task, Trainer, read_metrics};
use pollster::block_on;

/// A worker in a thread of its own, which gets nothing but tasks.
struct ThreadMate {
    tasks: mpsc::Sender<(Task, mpsc::Sender<Vec<f32>>)>,
    /// Answers that it owes.
    due: Rc<Cell<usize>>,
}

impl ThreadMate {
    /// One that ends itself after so many answers, in the middle of the next task.
    fn for_answers(most: usize) -> Self {
        let (tasks, given) = mpsc::channel::<(Task, mpsc::Sender<Vec<f32>>)>();
        thread::spawn(move || {
            let mut replica = Replica::default();
            for (task, answer) in given.iter().take(most) {
                let numbers = [&task.weights[..], &task.pixels[..]].concat();
                answer.send(replica.answer(&task.brief, &numbers)).unwrap_or_default();
            }
        });
        Self { tasks, due: Rc::default() }
    }
}

impl Mate for ThreadMate {
    /// Nobody knows of a worker that ended until it owes an answer.
    fn is_ready(&self) -> bool {
        self.due.get() == 0
    }

    fn give(&self, task: &Task) -> Answer {
        let (sender, answer) = mpsc::channel();
        let _ = self.tasks.send((task.clone(), sender));
        let due = self.due.clone();
        due.set(due.get() + 1);
        Box::pin(async move {
            let numbers = answer.recv().ok()?;
            due.set(due.get() - 1);
            Some(numbers)
        })
    }
}

/// A world of threads: how many answers each mate that is called will give.
#[derive(Default)]
struct Ship {
    events: RefCell<Vec<Event>>,
    ticks: Cell<f64>,
    mates: RefCell<Vec<usize>>,
    n_called: Cell<usize>,
}

impl Ship {
    fn with(mates: &[usize]) -> Self {
        Self { mates: RefCell::new(mates.to_vec()), ..Self::default() }
    }
}

impl Host for Ship {
    fn emit(&self, event: Event) {
        self.events.borrow_mut().push(event);
    }

    fn now_secs(&self) -> f64 {
        self.ticks.set(self.ticks.get() + 0.05);
        self.ticks.get()
    }

    async fn pretrained(&self, _: ModelId) -> Option<Vec<u8>> {
        None
    }

    async fn dataset(&self, id: &DatasetId) -> Result<(Dataset, Option<String>), Fault> {
        Ok((Dataset { id: id.clone(), train: digits(0, 150), validation: None, test: digits(20_000, 450) }, None))
    }

    fn mates(&self, at_most: usize) -> Vec<Box<dyn Mate>> {
        let mut waiting = self.mates.borrow_mut();
        let called = at_most.min(waiting.len());
        self.n_called.set(self.n_called.get() + called);
        waiting.drain(..called).map(|most| Box::new(ThreadMate::for_answers(most)) as Box<dyn Mate>).collect()
    }
}

const FOREVER: usize = usize::MAX;

fn digits(first: usize, n: usize) -> Split {
    synthetic::split(synthetic::SEED, first, n)
}

/// 150 images in batches of 64 are 3 steps an epoch, the last of which has 22 images.
fn spec(model: ModelId, workers: usize) -> TrainSpec {
    let own = TrainSpec::of(model);
    let recipe = Recipe { epochs: 2, batch: 64, ..own.recipe };
    TrainSpec { dataset: DatasetId::Synthetic, engine: EngineChoice::Cpu, recipe, workers, ..own }
}

fn play(ship: Ship, specs: &[TrainSpec]) -> Session<Ship> {
    let mut session = Session::new(ship);
    block_on(async {
        session.handle(Command::Open(EngineRequest::new(EngineChoice::Cpu, ModelId::Compact))).await;
        for spec in specs {
            session.handle(Command::Start(spec.clone())).await;
            while session.is_busy() {
                session.advance().await;
            }
        }
    });
    session
}

/// Every loss of the last run, its validations, and every number of the network that it left, to the bit.
fn outcome(session: &Session<Ship>) -> (Vec<u64>, Vec<u64>, Vec<u32>) {
    let run = Run::of(session.host().events.borrow().iter());
    assert_eq!((run.state, run.steps.len(), run.fault), (State::Finished, 6, None));
    let (_, arrays) = block_on(session.weights()).unwrap();
    (
        run.steps.iter().map(|step| step.batch.loss.to_bits()).collect(),
        run.epochs.iter().map(|epoch| epoch.validation.loss.to_bits()).collect(),
        arrays.iter().flat_map(|array| &array.values).map(|value| value.to_bits()).collect(),
    )
}

fn told(session: &Session<Ship>) -> Vec<(usize, usize)> {
    let crew = |event: &Event| match event {
        Event::Crew(CrewReport { workers, lost }) => Some((*workers, *lost)),
        _ => None,
    };
    session.host().events.borrow().iter().filter_map(crew).collect()
}

#[test]
fn who_computes_does_not_matter() {
    for model in [ModelId::Compact, ModelId::Classic] {
        let spec = [spec(model, 4)];
        let alone = play(Ship::default(), &spec);
        assert_eq!(told(&alone), []);
        for n in [1, 3] {
            let shared = play(Ship::with(&vec![FOREVER; n]), &spec);
            assert_eq!(outcome(&shared), outcome(&alone), "{model} with {n} mates");
            assert_eq!(told(&shared), [(n + 1, 0)]);
        }
    }
}

#[test]
fn a_lost_worker_costs_nothing_but_time() {
    let spec = [spec(ModelId::Compact, 3)];
    let alone = play(Ship::default(), &spec);
    // One ends in the first step, the other after its shards of three steps and a part of the validation.
    let shared = play(Ship::with(&[0, 4]), &spec);
    assert_eq!(outcome(&shared), outcome(&alone));
    assert_eq!(told(&shared), [(3, 0), (2, 1), (1, 2)]);
}

#[test]
fn mates_are_kept_for_the_next_run_and_replaced_when_lost() {
    let runs = [spec(ModelId::Compact, 3), spec(ModelId::Compact, 3), spec(ModelId::Compact, 1)];
    let kept = play(Ship::with(&[FOREVER; 9]), &runs[..2]);
    assert_eq!(kept.host().n_called.get(), 2);
    let replaced = play(Ship::with(&[FOREVER, 1, FOREVER]), &runs);
    assert_eq!(replaced.host().n_called.get(), 3);
    assert_eq!(told(&replaced), [(3, 0), (2, 1), (3, 0), (1, 0)]);
}

/// Its weights would travel longer than the step takes.
#[test]
fn a_network_too_large_to_travel_is_not_shared() {
    let mut session = Session::new(Ship::with(&[FOREVER; 3]));
    block_on(session.handle(Command::Open(EngineRequest::new(EngineChoice::Cpu, ModelId::Compact))));
    block_on(session.handle(Command::Start(spec(ModelId::Wide, 4))));
    assert_eq!(session.host().n_called.get(), 0);
    let run = Run::of(session.host().events.borrow().iter());
    assert_eq!(run.plan.map(|plan| plan.spec.workers), Some(1), "what is told of the run is what was done");
}

/// A trainer whose steps show its gradients: plain descent, at first without momentum to speak of.
fn descending(model: ModelId, dropout: f64) -> Trainer {
    let recipe = Recipe { optimizer: OptimizerId::Sgd, dropout, ..Recipe::of(model) };
    Trainer::new(model, 3, &Device::flex()).by(&recipe)
}

fn numbers(trainer: &Trainer) -> Vec<f64> {
    trainer.network().numbers().into_iter().map(f64::from).collect()
}

/// How a step moved the weights.
fn moved(mut trainer: Trainer, step: impl FnOnce(&mut Trainer)) -> Vec<f64> {
    let before = numbers(&trainer);
    step(&mut trainer);
    numbers(&trainer).iter().zip(&before).map(|(after, before)| after - before).collect()
}

fn step_in_shards(trainer: &mut Trainer, images: &Gathered, seed: u64, n_shards: usize) -> f64 {
    let tasks = trainer.shards(images, DropoutKey::of(seed, 1), n_shards);
    assert_eq!(tasks.len(), n_shards);
    let share = |task: &Task| Share { n_images: task.brief.n_images, numbers: trainer.answer(task) };
    let shares = tasks.iter().map(share).collect();
    let tally = trainer.step_by(shares, 1.0);
    block_on(read_metrics(vec![tally])).unwrap()[0].0.loss
}

fn distance(ours: &[f64], truth: &[f64]) -> f64 {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut ours.iter().zip(truth).map(|(a, b)| a - b)) / norm(&mut truth.iter().copied())
}

/// `classic` has no BatchNorm: its batches may be cut anywhere, dropout and softened targets included.
#[test]
fn shards_are_the_whole_batch_again() {
    let recipe = Recipe { label_smoothing: 0.1, augment: Augment::default(), ..Recipe::of(ModelId::Classic) };
    let split = digits(0, 50);
    let images =
        Gathered::of(&split, &Picks::drawn(&(0..50).collect::<Vec<_>>(), &recipe, &mut batch::random(1, 1, 1)));
    let mut whole_loss = 0.0;
    let whole = moved(descending(ModelId::Classic, 1.0), |trainer| {
        let batch = images.clone().upload(&Device::flex());
        let tally = trainer.step(&batch, 1.0, DropoutKey::of(1, 1));
        whole_loss = block_on(read_metrics(vec![tally])).unwrap()[0].0.loss;
    });
    for n_shards in [2, 3, 5] {
        let mut loss = 0.0;
        let shared = moved(descending(ModelId::Classic, 1.0), |trainer| {
            loss = step_in_shards(trainer, &images, 1, n_shards);
        });
        let apart = distance(&shared, &whole);
        assert!(apart < 1e-5, "{n_shards} shards: {apart:e}");
        assert!((loss - whole_loss).abs() < 1e-5 * whole_loss, "{loss} and {whole_loss}");
    }
    let other = moved(descending(ModelId::Classic, 1.0), |trainer| {
        step_in_shards(trainer, &images, 2, 2);
    });
    assert!(distance(&other, &whole) > 0.1, "other units are dropped, and it shows");
}

fn floats(tensor: Tensor<1>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

/// With BatchNorm each shard is as a batch of its own: gradients, means and variances are the mean of theirs.
#[test]
fn shards_are_normalised_each_by_itself() {
    for model in [ModelId::Compact, ModelId::Leaky] {
        let split = digits(0, 40);
        let recipe = Recipe { augment: Augment::default(), ..Recipe::of(model) };
        let all: Vec<usize> = (0..40).collect();
        let images = Gathered::of(&split, &Picks::drawn(&all, &recipe, &mut batch::random(1, 1, 1)));
        let shared = moved(descending(model, 0.0), |trainer| {
            step_in_shards(trainer, &images, 1, 3);
        });
        let trainer = descending(model, 0.0);
        let mut mean = vec![0.0; shared.len()];
        for shard in batch::shards(40, 3) {
            let weight = shard.len() as f64 / 40.0;
            let batch = Batch::gather(&split, &all[shard], &Device::flex());
            let backward = trainer.backward(&batch, DropoutKey::of(1, 1));
            let arrays = backward.gradients.into_iter().chain(backward.statistics).flat_map(floats);
            mean.iter_mut().zip(arrays).for_each(|(mean, number)| *mean += weight * number);
        }
        let n_trained: usize = trainer.network().parameter_slots().iter().map(|slot| slot.size()).sum();
        // Nesterov's first step is 1.9 times the gradient. What one step makes of the statistics is, once the initial
        // values are taken out of them, the mean itself.
        let descent: Vec<f64> = mean[..n_trained].iter().map(|gradient| -1.9 * gradient).collect();
        let apart = distance(&shared[..n_trained], &descent);
        assert!(apart < 1e-4, "{model}: gradients are {apart:e} apart");
        let before = numbers(&trainer);
        let settled: Vec<f64> = shared.iter().zip(&before).map(|(moved, before)| moved + before).collect();
        let apart = distance(&settled[n_trained..], &mean[n_trained..]);
        assert!(apart < 1e-4, "{model}: statistics are {apart:e} apart");
    }
}
