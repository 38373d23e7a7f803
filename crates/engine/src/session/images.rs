//! The images of runs: those that the host brings, and those that somebody dropped. Divides them as a run's settings say.

use std::rc::Rc;

use inkling_core::data::{Dataset, dropped};
use inkling_core::protocol::{DatasetReport, Fault};
use inkling_core::spec::{DatasetId, SplitId, TrainSpec};

use super::Host;

/// Images shared by a run and the next one, and a sentence when they are not those that were asked for.
type Shared = (Rc<Dataset>, Option<String>);

/// What is kept from run to run.
#[derive(Default)]
pub struct Images {
    /// Of the last run, kept for the next one.
    brought: Option<Shared>,
    /// What somebody dropped, kept for every run with it.
    dropped: Option<Rc<Dataset>>,
}

impl Images {
    /// Keeps the images in these IDX files, by name and bytes, and says what they are.
    ///
    /// # Errors
    /// What is wrong with the files; what was kept before stays.
    pub fn keep(&mut self, files: &[(String, Vec<u8>)]) -> Result<DatasetReport, Fault> {
        let dataset = dropped::dataset(files).map_err(bad_files)?;
        let (id, n_train, n_test) = (dataset.id.clone(), dataset.train.len(), dataset.test.len());
        self.dropped = Some(Rc::new(dataset));
        Ok(DatasetReport { id, n_train, n_validation: None, n_test, fallback: None })
    }

    /// Has the host bring images for the run that comes next.
    ///
    /// # Errors
    /// When they cannot be had.
    pub async fn fetch(&mut self, id: &DatasetId, host: &impl Host) -> Result<(), Fault> {
        self.brought(id, host).await.map(|_| ())
    }

    /// The images of a run, divided as its settings say.
    ///
    /// # Errors
    /// When they cannot be had.
    pub async fn of(&mut self, spec: &TrainSpec, host: &impl Host) -> Result<Shared, Fault> {
        let (dataset, fallback) = match &spec.dataset {
            DatasetId::Dropped => (self.dropped.clone().ok_or_else(nothing_dropped)?, None),
            id => self.brought(id, host).await?,
        };
        let dataset = match spec.split {
            SplitId::Published => dataset,
            SplitId::Kaggle => Rc::new((*dataset).clone().dealt(spec.seed)),
        };
        Ok((dataset, fallback))
    }

    /// What the host brings; the images of the last run if they are the same.
    async fn brought(&mut self, id: &DatasetId, host: &impl Host) -> Result<Shared, Fault> {
        let kept = self.brought.take().filter(|(dataset, fallback)| dataset.id == *id && fallback.is_none());
        let (dataset, fallback) = match kept {
            Some(images) => images,
            None => {
                let (dataset, fallback) = host.dataset(id).await?;
                (Rc::new(dataset), fallback)
            }
        };
        self.brought = Some((dataset.clone(), fallback.clone()));
        Ok((dataset, fallback))
    }
}

fn bad_files(error: dropped::DroppedError) -> Fault {
    Fault::new(format!("These files cannot be learned from: {error}"), "What was there before is still there.")
}

fn nothing_dropped() -> Fault {
    let remedy = "Drop the image and label files on the page and start again, or choose another data set.";
    Fault::new("There are no images of your own yet", remedy)
}
