//! A session in a terminal: every command of the program that computes drives one. It never computes itself.

use std::cell::{Cell, RefCell};
use std::time::Instant;

use anyhow::{Result, bail};
use inkling_core::data::{Dataset, Split};
use inkling_core::protocol::{Command, Event, Fault, Message, Request, RequestId};
use inkling_core::receipts::DataSum;
use inkling_core::run::Run;
use inkling_core::spec::{DatasetId, ModelId, Prediction};
use inkling_engine::session::{Host, Session};
use inkling_mnist_files::{self, Note};

use super::data_cache;
use super::report::Reporter;

/// A session with its host.
pub struct TerminalSession {
    session: Session<TerminalHost>,
    n_requests: u64,
}

impl TerminalSession {
    /// A session without an engine. The reporter prints what happens.
    pub fn new(reporter: Reporter) -> Self {
        let host = TerminalHost {
            began: Instant::now(),
            reporter,
            run: RefCell::default(),
            predictions: RefCell::default(),
            data: RefCell::default(),
            epoch_ended: Cell::new(false),
        };
        Self { session: Session::new(host), n_requests: 0 }
    }

    /// Sends a command, and checks that it has not failed so far. Longer work goes on in [`TerminalSession::advance`].
    ///
    /// # Errors
    /// The fault that the session reports.
    pub async fn request(&mut self, command: Command) -> Result<()> {
        self.n_requests += 1;
        self.session.handle(Request { id: RequestId(self.n_requests), command }).await;
        self.check()
    }

    /// Does one piece of work.
    pub async fn advance(&mut self) {
        self.session.advance().await;
    }

    /// Whether there is work to do.
    pub fn is_busy(&self) -> bool {
        self.session.is_busy()
    }

    /// Does all work that there is.
    ///
    /// # Errors
    /// The fault that the session reports.
    pub async fn finish(&mut self) -> Result<()> {
        while self.session.is_busy() {
            self.session.advance().await;
        }
        self.check()
    }

    /// Sends a command and does all its work.
    ///
    /// # Errors
    /// The fault that the session reports.
    pub async fn run(&mut self, command: Command) -> Result<()> {
        self.request(command).await?;
        self.finish().await
    }

    /// Classifies images of 784 bytes each; `shifts` as in [`Command::Predict`].
    ///
    /// # Errors
    /// The fault that the session reports.
    pub async fn predict(&mut self, pixels: Vec<u8>, shifts: bool) -> Result<Vec<Prediction>> {
        self.request(Command::Predict { pixels, shifts }).await?;
        Ok(self.host().predictions.take())
    }

    /// The current network as the bytes of a weights file.
    ///
    /// # Errors
    /// When there is no network, or the device has failed.
    pub async fn weights_file(&self) -> Result<Vec<u8>> {
        self.session.weights_file().await.or_else(|fault| bail!("{fault}"))
    }

    /// What the session has reported so far.
    pub fn host(&self) -> &TerminalHost {
        self.session.host()
    }

    /// Checks that the session has not failed.
    ///
    /// # Errors
    /// The fault that it reported, if any.
    pub fn check(&self) -> Result<()> {
        match &self.host().run.borrow().fault {
            Some(fault) => {
                self.host().reporter.end_progress();
                bail!("{}", fault.to_string().trim_end())
            }
            None => Ok(()),
        }
    }
}

/// The session's host in a terminal: events go to the reporter, images come from disk or the network.
pub struct TerminalHost {
    began: Instant,
    /// Prints what happens.
    pub reporter: Reporter,
    /// All messages so far, folded.
    pub run: RefCell<Run>,
    /// The answer to the last request for predictions.
    predictions: RefCell<Vec<Prediction>>,
    /// Checksums of the images and labels that were loaded.
    pub data: RefCell<Vec<DataSum>>,
    /// Set at the end of an epoch, cleared when the weights are saved.
    pub epoch_ended: Cell<bool>,
}

impl Host for TerminalHost {
    fn emit(&self, message: Message) {
        self.run.borrow_mut().apply(&message);
        match &message.event {
            Event::Predicted(predictions) => drop(self.predictions.replace(predictions.clone())),
            Event::EpochEnded(_) => self.epoch_ended.set(true),
            _ => {}
        }
        self.reporter.on_event(&message.event, &self.run.borrow());
    }

    fn build(&self) -> &str {
        env!("INKLING_BUILD")
    }

    fn now_secs(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Always `None`: the command line ships no weights; users name files of weights.
    async fn pretrained(&self, _: ModelId) -> Option<Vec<u8>> {
        None
    }

    async fn dataset(&self, id: &DatasetId) -> Result<(Dataset, Option<String>), Fault> {
        let dataset = load(id, &|note| self.reporter.note(note));
        let dataset = dataset.map_err(|error| Fault::new(error.to_string(), ""))?;
        let sums = [sums_of("training", &dataset.train), sums_of("test", &dataset.test)];
        self.data.replace(sums.concat());
        Ok((dataset, None))
    }
}

/// The checksums of the images and of the labels of a split. `name` is its name in a receipt: `training` or `test`.
pub fn sums_of(name: &str, split: &Split) -> [DataSum; 2] {
    let sum = |kind: &str, bytes: &[u8]| DataSum::of(&format!("{name} {kind}"), split.len(), bytes);
    [sum("images", &split.images), sum("labels", &split.labels)]
}

/// Loads a data set from disk, or downloads it. `report` receives messages about the progress.
///
/// # Errors
/// When the data set is neither on disk nor can be downloaded, is damaged, or has no test images.
pub fn load(id: &DatasetId, report: &dyn Fn(&str)) -> Result<Dataset> {
    let mut downloading = None;
    let mut on_note = |note: Note| match note {
        Note::Found { .. } => {}
        Note::PassedOver { folder, why } => report(&format!("MNIST: not in {} ({why})", folder.display())),
        Note::HostFailed { url, why } => report(&format!("MNIST: {url} does not deliver ({why})")),
        // One line per file, not one per block of bytes.
        Note::Downloading { name, .. } if downloading.replace(name) != Some(name) => {
            report(&format!("MNIST: downloading {name}"))
        }
        Note::Downloading { .. } => {}
    };
    let dataset = inkling_mnist_files::load(id, &data_cache(), &mut on_note)?;
    if dataset.test.is_empty() {
        bail!("the data set {id} holds no test images; choose another");
    }
    Ok(dataset)
}
