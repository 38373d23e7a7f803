//! Images that are judged, batch by batch, and what is told of them. The images of its mistakes go ahead of a judgement: it
//! is recorded in receipts, and they are not.

use inkling_core::data::Split;
use inkling_core::evaluation::{Judge, Judgement, Mistake};
use inkling_core::protocol::{Event, Fault, Phase, Picture, Progress};

use super::Host;
use super::crew::Crew;
use crate::train::{Feed, Shelf, Trainer};

/// Images judged at once: enough to keep a device busy, few enough to answer commands soon.
const JUDGED_AT_ONCE: usize = 200;

/// Judges a network on the first images of a split, all at once.
///
/// # Errors
/// When the device has failed.
pub async fn judge(
    split: &Split,
    limit: Option<usize>,
    trainer: &Trainer,
    crew: &mut Crew,
    host: &impl Host,
) -> Result<Judgement, Fault> {
    let n = split.len().min(limit.unwrap_or(usize::MAX));
    let shelf = Shelf::new();
    let mut judging = Judging::new(true);
    while judging.n_done < n {
        judging.next(Feed::of(&shelf, split, n, trainer.device()), n, trainer, crew, host).await?;
        host.emit(Event::Progress(Progress { phase: Phase::Test, done: judging.n_done as u64, total: n as u64 }));
    }
    Ok(judging.finish())
}

/// Images that are being judged, batch by batch.
pub struct Judging {
    judge: Judge,
    pub n_done: usize,
    /// Whether these are the test images.
    pub tests: bool,
}

impl Judging {
    pub fn new(tests: bool) -> Self {
        Self { judge: Judge::default(), n_done: 0, tests }
    }

    /// Judges the next batch of the first `n` images.
    ///
    /// # Errors
    /// When the device has failed.
    pub async fn next(
        &mut self,
        feed: Feed<'_>,
        n: usize,
        trainer: &Trainer,
        crew: &mut Crew,
        host: &impl Host,
    ) -> Result<(), Fault> {
        let end = (self.n_done + JUDGED_AT_ONCE * crew.n_shards()).min(n);
        let predictions = crew.read(trainer, (feed, self.n_done..end), JUDGED_AT_ONCE, host).await?;
        for (index, prediction) in (self.n_done..end).zip(&predictions) {
            self.judge.add(index, feed.split.labels[index], prediction);
        }
        self.n_done = end;
        Ok(())
    }

    /// What came of all of them.
    pub fn finish(self) -> Judgement {
        self.judge.finish()
    }
}

/// Tells what a network made of the images of `split`.
pub fn tell(judgement: Judgement, split: &Split, host: &impl Host) {
    let picture = |it: &Mistake| Picture { index: it.index, pixels: split.image(it.index).to_vec() };
    host.emit(Event::Pictures(judgement.mistakes.iter().map(picture).collect()));
    host.emit(Event::Judged(Box::new(judgement)));
}
