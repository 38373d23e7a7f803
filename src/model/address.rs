//! The settings of a run as text, for the address bar and the form fields. Pure: it never touches the browser's
//! address.

use std::fmt::Display;
use std::str::FromStr;

use inkling_core::spec::{DatasetId, EngineChoice, ModelId, TrainSpec};

/// One setting of a run. Each has a name in the address and a form field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Parameter {
    /// Which engine computes: `engine`.
    Engine,
    /// The data set to train on: `dataset`.
    Dataset,
    /// The network to train: `model`.
    Model,
    /// How the data set is split into training, validation and test images: `split`.
    Split,
    /// Number of epochs: `epochs`.
    Epochs,
    /// Images per step: `batch`.
    Batch,
    /// Base learning rate, which the schedule multiplies by its factor: `lr`.
    LearningRate,
    /// Learning rate schedule: `schedule`.
    Schedule,
    /// Optimizer: `optimizer`.
    Optimizer,
    /// Weight decay: `weight_decay`.
    WeightDecay,
    /// Factor on the dropout rates of the network: `dropout`.
    Dropout,
    /// Fraction of each target that is spread evenly over the classes: `label_smoothing`.
    LabelSmoothing,
    /// Augmentation of the training images: `augment`.
    Augment,
    /// Seed of the shuffle of Kaggle's split: `split_seed`.
    SplitSeed,
    /// Seed of the random numbers: `seed`.
    Seed,
    /// Number of training images to use, counted from the first: `limit`.
    Limit,
    /// Number of images to validate and test on, counted from the first: `test_limit`.
    TestLimit,
    /// Number of workers that share each step on the CPU: `workers`.
    Workers,
}

impl Parameter {
    /// Every setting, in the order of the address. The model comes before the settings that its recipe decides.
    pub const ALL: [Self; 18] = [
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
        Self::SplitSeed,
        Self::Limit,
        Self::TestLimit,
        Self::Workers,
    ];

    /// The name of the setting in the address.
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
            Self::SplitSeed => "split_seed",
            Self::Limit => "limit",
            Self::TestLimit => "test_limit",
            Self::Workers => "workers",
        }
    }

    /// The value of the setting as text. An unset limit is empty.
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
            Self::SplitSeed => spec.split_seed.to_string(),
            Self::Limit => limit(spec.train_limit),
            Self::TestLimit => limit(spec.test_limit),
            Self::Workers => spec.workers.to_string(),
        }
    }

    /// Returns the settings with this one parsed from `text`. A change of the model also sets its recipe and split.
    ///
    /// # Errors
    /// A message with the problem and the accepted values, when `text` cannot be parsed or the settings are invalid.
    pub fn with(self, spec: &TrainSpec, text: &str) -> Result<TrainSpec, String> {
        let (mut spec, text) = (spec.clone(), text.trim());
        let recipe = &mut spec.recipe;
        match self {
            Self::Engine => spec.engine = engine(text)?,
            Self::Dataset => spec.dataset = dataset(text)?,
            Self::Model => spec = with_model(spec, parse_id(text)?),
            Self::Split => spec.split = parse_id(text)?,
            Self::Epochs => recipe.epochs = whole("epochs", text)?,
            Self::Batch => recipe.batch = whole("batch size", text)?,
            Self::LearningRate => recipe.learning_rate = decimal("learning rate", text)?,
            Self::Schedule => recipe.schedule = parse_id(text)?,
            Self::Optimizer => recipe.optimizer = parse_id(text)?,
            Self::WeightDecay => recipe.weight_decay = decimal("weight decay", text)?,
            Self::Dropout => recipe.dropout = decimal("dropout", text)?,
            Self::LabelSmoothing => recipe.label_smoothing = decimal("label smoothing", text)?,
            Self::Augment => recipe.augment = parse_id(text)?,
            Self::Seed => spec.seed = whole("seed", text)?,
            Self::SplitSeed => spec.split_seed = whole("split seed", text)?,
            Self::Limit => spec.train_limit = limit("training limit", text)?,
            Self::TestLimit => spec.test_limit = limit("test limit", text)?,
            Self::Workers => spec.workers = whole("workers", text)?,
        }
        spec.check().map_err(|error| error.to_string())?;
        Ok(spec)
    }
}

/// Sets the model, its recipe and its split. Keeps recipe and split when the model does not change.
fn with_model(spec: TrainSpec, model: ModelId) -> TrainSpec {
    if spec.model == model { spec } else { by_own_recipe(&TrainSpec { model, ..spec }) }
}

/// Returns the settings with the recipe and the split of their model.
pub fn by_own_recipe(spec: &TrainSpec) -> TrainSpec {
    let TrainSpec { recipe, split, .. } = TrainSpec::of(spec.model);
    TrainSpec { recipe, split, ..spec.clone() }
}

fn parse_id<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

/// The engine choices that the page offers. `gpu` exists only on the command line.
pub const ENGINES: [EngineChoice; 3] = [EngineChoice::Auto, EngineChoice::WebGpu, EngineChoice::Cpu];

/// Parses an engine choice of the page.
fn engine(text: &str) -> Result<EngineChoice, String> {
    let known = || ENGINES.map(EngineChoice::id).join(", ");
    let found = ENGINES.into_iter().find(|engine| engine.id() == text);
    found.ok_or_else(|| format!("there is no engine called {text:?} in a browser; choose one of: {}", known()))
}

/// Parses a data set of the page. A folder exists only on the command line.
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

/// The settings and options that an address requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Address {
    /// The settings of the run.
    pub spec: TrainSpec,
    /// Start a run as soon as an engine is open: `start=1`.
    pub start: bool,
    /// Do not patch WebGPU's classes; shaders then compile one after another: `patches=0`.
    pub unpatched: bool,
    /// One message for each parameter that could not be used. The setting keeps its previous value.
    pub messages: Vec<String>,
}

impl Address {
    /// Parses decoded parameters. Unknown names are ignored, because other programs append parameters of their own. The
    /// default number of workers is `n_cores`, limited to [`TrainSpec::MAX_WORKERS`].
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
        address.request_user_files();
        address
    }

    fn read_setting(&mut self, parameter: Parameter, value: &str) {
        match parameter.with(&self.spec, value) {
            Ok(spec) => self.spec = spec,
            Err(message) => {
                let value_in_use = parameter.text(&self.spec);
                let value_in_use = if value_in_use.is_empty() { "all images".into() } else { value_in_use };
                self.messages
                    .push(format!("{}={value} in the address: {message}. Using {value_in_use}.", parameter.name()));
            }
        }
    }

    /// Applies the sprint's settings. Other parameters in the address can change them.
    fn read_sprint(&mut self, value: &str) {
        match value {
            "1" => self.spec = TrainSpec { workers: self.spec.workers, ..TrainSpec::of(ModelId::Sprint) },
            "0" | "" => {}
            _ => self.messages.push(format!("sprint={value} in the address: write sprint=1 for the sprint to 99 %.")),
        }
    }

    /// A link cannot contain a user data set, so the run waits until the user adds the files.
    fn request_user_files(&mut self) {
        if self.spec.dataset == DatasetId::UserFiles {
            self.start = false;
            self.messages.push(
                "dataset=dropped in the address: this link refers to someone's own images, which it cannot contain. \
                 Drop their IDX files on the page, or choose them in the settings under Your own images."
                    .into(),
            );
        }
    }

    fn read_patches(&mut self, value: &str) {
        match value {
            "0" => self.unpatched = true,
            "1" | "" => self.unpatched = false,
            _ => self
                .messages
                .push(format!("patches={value} in the address: write patches=0 to leave WebGPU unchanged.")),
        }
    }

    fn read_start(&mut self, value: &str) {
        match value {
            "1" => self.start = true,
            "0" | "" => self.start = false,
            _ => self.messages.push(format!("start={value} in the address: write start=1 to start at once.")),
        }
    }
}

/// Returns the query of an address for these settings, including the question mark.
///
/// It contains every setting, even defaults, so that a link keeps its meaning when a later version changes a default.
pub fn query(spec: &TrainSpec) -> String {
    let pairs = Parameter::ALL.into_iter().map(|parameter| (parameter.name(), parameter.text(spec)));
    // Ids and numbers need no percent-encoding.
    let pairs: Vec<_> =
        pairs.filter(|(_, text)| !text.is_empty()).map(|(name, text)| format!("{name}={text}")).collect();
    format!("?{}", pairs.join("&"))
}

#[cfg(test)]
mod tests;
