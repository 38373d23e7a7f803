//! The settings of a run as texts: what the address bar holds and what the fields of the page show. Pure.

use crate::spec::{DatasetId, EngineChoice, ModelId, TrainSpec};

/// One setting, by its name in the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Parameter {
    Engine,
    Dataset,
    Model,
    Epochs,
    Batch,
    LearningRate,
    Seed,
    /// Train on the first so many images.
    Limit,
    /// Validate on the first so many images.
    TestLimit,
}

impl Parameter {
    /// Every setting, in the order in which the address holds them.
    pub const ALL: [Self; 9] = [
        Self::Engine,
        Self::Dataset,
        Self::Model,
        Self::Epochs,
        Self::Batch,
        Self::LearningRate,
        Self::Seed,
        Self::Limit,
        Self::TestLimit,
    ];

    /// Its name in the address.
    pub fn name(self) -> &'static str {
        match self {
            Self::Engine => "engine",
            Self::Dataset => "dataset",
            Self::Model => "model",
            Self::Epochs => "epochs",
            Self::Batch => "batch",
            Self::LearningRate => "lr",
            Self::Seed => "seed",
            Self::Limit => "limit",
            Self::TestLimit => "test_limit",
        }
    }

    /// Its value as text; empty for a limit that is not set.
    pub fn text(self, spec: &TrainSpec) -> String {
        let limit = |limit: Option<usize>| limit.map(|n| n.to_string()).unwrap_or_default();
        match self {
            Self::Engine => spec.engine.to_string(),
            Self::Dataset => spec.dataset.to_string(),
            Self::Model => spec.model.to_string(),
            Self::Epochs => spec.epochs.to_string(),
            Self::Batch => spec.batch.to_string(),
            Self::LearningRate => spec.learning_rate.to_string(),
            Self::Seed => spec.seed.to_string(),
            Self::Limit => limit(spec.train_limit),
            Self::TestLimit => limit(spec.test_limit),
        }
    }

    /// The same settings with this one taken from a text.
    ///
    /// # Errors
    /// What is wrong with the text, and what to write instead.
    pub fn with(self, spec: &TrainSpec, text: &str) -> Result<TrainSpec, String> {
        let (mut spec, text) = (spec.clone(), text.trim());
        match self {
            Self::Engine => spec.engine = engine(text)?,
            Self::Dataset => spec.dataset = dataset(text)?,
            Self::Model => spec.model = text.parse::<ModelId>().map_err(|error| error.to_string())?,
            Self::Epochs => spec.epochs = whole("epochs", text)?,
            Self::Batch => spec.batch = whole("batch size", text)?,
            Self::LearningRate => spec.learning_rate = decimal("learning rate", text)?,
            Self::Seed => spec.seed = whole("seed", text)?,
            Self::Limit => spec.train_limit = limit("training limit", text)?,
            Self::TestLimit => spec.test_limit = limit("test limit", text)?,
        }
        spec.check().map_err(|error| error.to_string())?;
        Ok(spec)
    }
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
            Err(format!("there is no dataset called {text:?} in a browser; choose one of: mnist, synthetic"))
        }
        Ok(dataset) => Ok(dataset),
    }
}

fn whole<N: std::str::FromStr>(what: &str, text: &str) -> Result<N, String> {
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
    /// One message for each parameter that could not be used; its default stands.
    pub mistakes: Vec<String>,
}

impl Address {
    /// Reads decoded parameters; names that are not ours are left alone, as other programs append theirs.
    pub fn read(parameters: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut address = Self::default();
        for (name, value) in parameters {
            if name == "start" {
                address.read_start(&value);
            } else if let Some(parameter) = Parameter::ALL.into_iter().find(|parameter| parameter.name() == name) {
                address.read_setting(parameter, &value);
            }
        }
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
mod tests {
    use super::*;

    fn read(query: &str) -> Address {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        Address::read(pairs.map(|(name, value)| (name.into(), value.into())))
    }

    #[test]
    fn settings_survive_a_round_trip() {
        let spec = TrainSpec {
            engine: EngineChoice::Cpu,
            dataset: DatasetId::Synthetic,
            epochs: 3,
            batch: 32,
            learning_rate: 0.0125,
            seed: u64::MAX,
            train_limit: Some(256),
            test_limit: Some(200),
            ..TrainSpec::default()
        };
        let address = read(&query(&spec)[1..]);
        assert_eq!(address, Address { spec, start: false, mistakes: vec![] });
    }

    #[test]
    fn the_contract_is_read() {
        let address = read("engine=cpu&dataset=mnist&model=compact&limit=12800&epochs=4&batch=128&start=1");
        assert!(address.start && address.mistakes.is_empty());
        assert_eq!((address.spec.train_limit, address.spec.epochs), (Some(12_800), 4));
    }

    #[test]
    fn a_mistake_names_the_parameter_and_the_rest_works() {
        let address = read("epochs=zwölf&batch=64&engine=gpu&dataset=./x&lr=7&limit=0&start=yes&utm_source=x");
        assert_eq!(address.spec, TrainSpec { batch: 64, ..TrainSpec::default() });
        let named: Vec<_> = address.mistakes.iter().filter_map(|message| message.split('=').next()).collect();
        assert_eq!(named, ["epochs", "engine", "dataset", "lr", "limit", "start"]);
        assert!(address.mistakes[0].contains("whole number") && address.mistakes[0].contains("Using 12"));
    }

    #[test]
    fn nothing_asks_for_the_defaults() {
        assert_eq!(read(""), Address::default());
        assert_eq!(
            query(&TrainSpec::default()),
            "?engine=auto&dataset=mnist&model=compact&epochs=12&batch=128&lr=0.003&seed=1"
        );
    }
}
