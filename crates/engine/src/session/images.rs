//! The data sets of training runs: those that the host loads, and the user data set. Splits them as a run's settings
//! say. Never augments an image.

use std::cell::RefCell;
use std::rc::Rc;

use inkling_core::data::{Dataset, user_files};
use inkling_core::protocol::{DatasetReport, Fault};
use inkling_core::spec::{DatasetId, SplitId};

use super::Host;

/// A data set that two runs can share. If it is not the requested one, the string tells the user why.
pub type SharedDataset = (Rc<Dataset>, Option<String>);

/// The data sets stored from run to run. Shared with the futures that load them.
#[derive(Default)]
pub struct Images {
    /// The data set of the last run that loaded one from the host; the next run reuses it.
    fetched: RefCell<Option<SharedDataset>>,
    /// The user data set, stored for every run that selects it.
    user_files: RefCell<Option<Rc<Dataset>>>,
}

/// Which images, and how they are split.
#[derive(Clone, Debug)]
pub struct Selection {
    /// The data set.
    pub dataset: DatasetId,
    /// The split.
    pub split: SplitId,
    /// Seed of the shuffle of [`SplitId::Kaggle`].
    pub split_seed: u64,
}

impl Images {
    /// Stores the user data set in these IDX files, given by name and bytes, and describes it.
    ///
    /// # Errors
    /// When the files form no data set; the previous user data set is retained.
    pub fn load_user_files(&self, files: &[(String, Vec<u8>)]) -> Result<DatasetReport, Fault> {
        let dataset = user_files::dataset(files).map_err(bad_user_files)?;
        let (id, n_train, n_test) = (dataset.id.clone(), dataset.train.len(), dataset.test.len());
        self.user_files.replace(Some(Rc::new(dataset)));
        Ok(DatasetReport { id, n_train, n_validation: None, n_test, fallback: None })
    }

    /// Has the host load a data set ahead of the run that needs it.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub async fn fetch(&self, id: &DatasetId, host: &impl Host) -> Result<(), Fault> {
        self.fetched(id, host).await.map(|_| ())
    }

    /// The data set of a run or an evaluation, split as selected.
    ///
    /// # Errors
    /// When it cannot be loaded, or there is no user data set.
    pub async fn load(&self, selection: &Selection, host: &impl Host) -> Result<SharedDataset, Fault> {
        let (dataset, fallback) = match &selection.dataset {
            DatasetId::UserFiles => (self.user_files.borrow().clone().ok_or_else(no_user_files)?, None),
            id => self.fetched(id, host).await?,
        };
        let dataset = match selection.split {
            SplitId::Published => dataset,
            SplitId::Kaggle => Rc::new((*dataset).clone().resplit(selection.split_seed)),
        };
        Ok((dataset, fallback))
    }

    /// The data set that the last run loaded if it is the requested one; otherwise the host loads it.
    async fn fetched(&self, id: &DatasetId, host: &impl Host) -> Result<SharedDataset, Fault> {
        let reusable = self.fetched.take().filter(|(dataset, fallback)| dataset.id == *id && fallback.is_none());
        let (dataset, fallback) = match reusable {
            Some(shared) => shared,
            None => {
                let (dataset, fallback) = host.dataset(id).await?;
                (Rc::new(dataset), fallback)
            }
        };
        self.fetched.replace(Some((dataset.clone(), fallback.clone())));
        Ok((dataset, fallback))
    }
}

fn bad_user_files(error: user_files::UserFilesError) -> Fault {
    Fault::new(format!("These files cannot be learned from: {error}"), "What was there before is still there.")
}

fn no_user_files() -> Fault {
    let remedy = "Drop the image and label files on the page and start again, or choose another data set.";
    Fault::new("There are no images of your own yet", remedy)
}
