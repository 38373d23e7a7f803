//! The settings of a run as texts: what the address bar holds and what the fields of the page show. Pure.

use std::fmt::Display;
use std::str::FromStr;

use inkling_core::spec::{DatasetId, EngineChoice, ModelId, TrainSpec};

/// One setting, by its name in the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Parameter {
    Engine,
    Dataset,
    Model,
    Split,
    Epochs,
    Batch,
    LearningRate,
    Schedule,
    Optimizer,
    WeightDecay,
    Dropout,
    LabelSmoothing,
    Augment,
    Seed,
    /// Train on the first so many images.
    Limit,
    /// Validate on the first so many images.
    TestLimit,
    /// So many workers share a step on the CPU.
    Workers,
}

impl Parameter {
    /// Every setting, in the order in which the address holds them: the network before what its recipe decides.
    pub const ALL: [Self; 17] = [
        Self::Engine,
        Self::Dataset,
        Self::Model,
        Self::Split,
        Self::Epochs,
        Self::Batch,
        Self::LearningRate,
        Self::Schedule,
        Self::Optimizer,
        Self::WeightDecay,
        Self::Dropout,
        Self::LabelSmoothing,
        Self::Augment,
        Self::Seed,
        Self::Limit,
        Self::TestLimit,
        Self::Workers,
    ];

    /// Its name in the address.
    pub fn name(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Dataset => "dataset",
            Self::Model => "model",
            Self::Epochs => "epochs",
            Self::Batch => "batch",
            Self::Split => "split",
            Self::LearningRate => "lr",
            Self::Schedule => "schedule",
            Self::Optimizer => "optimizer",
            Self::WeightDecay => "weight_decay",
            Self::Dropout => "dropout",
            Self::LabelSmoothing => "label_smoothing",
            Self::Augment => "augment",
            Self::Seed => "seed",
            Self::Limit => "limit",
            Self::TestLimit => "test_limit",
            Self::Workers => "workers",
        }
    }

    /// Its value as text; empty for a limit that is not set.
    pub fn text(self, spec: &TrainSpec) -> String {
        let limit = |limit: Option<usize>| limit.map(|n| n.to_string()).unwrap_or_default();
        match self {
            Self::Engine => spec.engine.to_string(),
            Self::Dataset => spec.dataset.to_string(),
            Self::Model => spec.model.to_string(),
            Self::Split => spec.split.to_string(),
            Self::Epochs => spec.recipe.epochs.to_string(),
            Self::Batch => spec.recipe.batch.to_string(),
            Self::LearningRate => spec.recipe.learning_rate.to_string(),
            Self::Schedule => spec.recipe.schedule.to_string(),
            Self::Optimizer => spec.recipe.optimizer.to_string(),
            Self::WeightDecay => spec.recipe.weight_decay.to_string(),
            Self::Dropout => spec.recipe.dropout.to_string(),
            Self::LabelSmoothing => spec.recipe.label_smoothing.to_string(),
            Self::Augment => spec.recipe.augment.to_string(),
            Self::Seed => spec.seed.to_string(),
            Self::Limit => limit(spec.train_limit),
            Self::TestLimit => limit(spec.test_limit),
            Self::Workers => spec.workers.to_string(),
        }
    }

    /// The same settings with this one taken from a text. Another model brings its own recipe and split.
    ///
    /// # Errors
    /// What is wrong with the text, and what to write instead.
    pub fn with(self, spec: &TrainSpec, text: &str) -> Result<TrainSpec, String> {
        let (mut spec, text) = (spec.clone(), text.trim());
        let recipe = &mut spec.recipe;
        match self {
            Self::Engine => spec.engine = engine(text)?,
            Self::Dataset => spec.dataset = dataset(text)?,
            Self::Model => spec = with_model(spec, known(text)?),
            Self::Split => spec.split = known(text)?,
            Self::Epochs => recipe.epochs = whole("epochs", text)?,
            Self::Batch => recipe.batch = whole("batch size", text)?,
            Self::LearningRate => recipe.learning_rate = decimal("learning rate", text)?,
            Self::Schedule => recipe.schedule = known(text)?,
            Self::Optimizer => recipe.optimizer = known(text)?,
            Self::WeightDecay => recipe.weight_decay = decimal("weight decay", text)?,
            Self::Dropout => recipe.dropout = decimal("dropout", text)?,
            Self::LabelSmoothing => recipe.label_smoothing = decimal("label smoothing", text)?,
            Self::Augment => recipe.augment = known(text)?,
            Self::Seed => spec.seed = whole("seed", text)?,
            Self::Limit => spec.train_limit = limit("training limit", text)?,
            Self::TestLimit => spec.test_limit = limit("test limit", text)?,
            Self::Workers => spec.workers = whole("workers", text)?,
        }
        spec.check().map_err(|error| error.to_string())?;
        Ok(spec)
    }
}

/// The same run with another model, by that model's recipe; the recipe stays when the model does.
fn with_model(spec: TrainSpec, model: ModelId) -> TrainSpec {
    if spec.model == model { spec } else { by_own_recipe(&TrainSpec { model, ..spec }) }
}

/// The same run by the recipe and on the split of its model.
pub fn by_own_recipe(spec: &TrainSpec) -> TrainSpec {
    let TrainSpec { recipe, split, .. } = TrainSpec::of(spec.model);
    TrainSpec { recipe, split, ..spec.clone() }
}

fn known<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// The engines that a page can offer: `gpu` is the command line's.
pub const ENGINES: [EngineChoice; 3] = [EngineChoice::Auto, EngineChoice::WebGpu, EngineChoice::Cpu];

fn engine(text: &str) -> Result<EngineChoice, String> {
    let known = || ENGINES.map(EngineChoice::id).join(", ");
    let found = ENGINES.into_iter().find(|engine| engine.id() == text);
    found.ok_or_else(|| format!("there is no engine called {text:?} in a browser; choose one of: {}", known()))
}

fn dataset(text: &str) -> Result<DatasetId, String> {
    match text.parse() {
        Ok(DatasetId::Folder(_)) | Err(_) => {
            Err(format!("there is no dataset called {text:?} in a browser; choose one of: mnist, synthetic, dropped"))
        }
        Ok(dataset) => Ok(dataset),
    }
}

fn whole<N: FromStr>(what: &str, text: &str) -> Result<N, String> {
    text.parse().map_err(|_| format!("{what} must be a whole number, not {text:?}"))
}

fn decimal(what: &str, text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("{what} must be a number such as 0.003, not {text:?}"))
}

fn limit(what: &str, text: &str) -> Result<Option<usize>, String> {
    if text.is_empty() { Ok(None) } else { whole(what, text).map(Some) }
}

/// What an address asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Address {
    pub spec: TrainSpec,
    /// Begin at once.
    pub start: bool,
    /// Leave WebGPU's classes as they are: shaders compile one after another.
    pub unpatched: bool,
    /// One message for each parameter that could not be used; its default stands.
    pub mistakes: Vec<String>,
}

impl Address {
    /// Reads decoded parameters; names that are not ours are left alone, as other programs append theirs. Where nothing is
    /// said of workers, each core of this machine gets one.
    pub fn read(parameters: impl IntoIterator<Item = (String, String)>, n_cores: usize) -> Self {
        let mut address = Self::default();
        address.spec.workers = n_cores.clamp(1, TrainSpec::MAX_WORKERS);
        let given: Vec<_> = parameters.into_iter().collect();
        given.iter().filter(|(name, _)| name == "sprint").for_each(|(_, value)| address.read_sprint(value));
        for parameter in Parameter::ALL {
            let values = given.iter().filter(|(name, _)| name == parameter.name());
            values.for_each(|(_, value)| address.read_setting(parameter, value));
        }
        given.iter().filter(|(name, _)| name == "start").for_each(|(_, value)| address.read_start(value));
        given.iter().filter(|(name, _)| name == "patches").for_each(|(_, value)| address.read_patches(value));
        address.ask_for_files();
        address
    }

    fn read_setting(&mut self, parameter: Parameter, value: &str) {
        match parameter.with(&self.spec, value) {
            Ok(spec) => self.spec = spec,
            Err(message) => {
                let kept = parameter.text(&self.spec);
                let kept = if kept.is_empty() { "all images".into() } else { kept };
                self.mistakes.push(format!("{}={value} in the address: {message}. Using {kept}.", parameter.name()));
            }
        }
    }

    /// Ordinary settings, which the others in the address may change.
    fn read_sprint(&mut self, value: &str) {
        match value {
            "1" => self.spec = TrainSpec { workers: self.spec.workers, ..TrainSpec::sprint() },
            "0" | "" => {}
            _ => self.mistakes.push(format!("sprint={value} in the address: write sprint=1 for the way to 99 %.")),
        }
    }

    /// Images of one's own do not travel with a link, so there is nothing to begin with yet.
    fn ask_for_files(&mut self) {
        if self.spec.dataset == DatasetId::Dropped {
            self.start = false;
            self.mistakes.push(
                "dataset=dropped in the address: this link is about somebody's own images, which it cannot hold. Drop \
                 their IDX files on the page, or choose them in the settings under Own images."
                    .into(),
            );
        }
    }

    fn read_patches(&mut self, value: &str) {
        match value {
            "0" => self.unpatched = true,
            "1" | "" => self.unpatched = false,
            _ => self.mistakes.push(format!("patches={value} in the address: write patches=0 to leave WebGPU alone.")),
        }
    }

    fn read_start(&mut self, value: &str) {
        match value {
            "1" => self.start = true,
            "0" | "" => self.start = false,
            _ => self.mistakes.push(format!("start={value} in the address: write start=1 to begin at once.")),
        }
    }
}

/// The address of some settings, from the question mark on.
///
/// Every setting is written out, the defaults too: a link keeps its meaning when a later version has others.
pub fn query(spec: &TrainSpec) -> String {
    let pairs = Parameter::ALL.into_iter().map(|parameter| (parameter.name(), parameter.text(spec)));
    // Ids and numbers need no escaping.
    let pairs: Vec<_> =
        pairs.filter(|(_, text)| !text.is_empty()).map(|(name, text)| format!("{name}={text}")).collect();
    format!("?{}", pairs.join("&"))
}

#[cfg(test)]
mod tests;
