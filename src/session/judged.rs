//! Tells a judgement. The images of its mistakes go ahead of it: it is recorded in receipts, and they are not.

use super::Host;
use crate::data::Split;
use crate::judge::{Judgement, Mistake};
use crate::protocol::{Event, Picture};

/// Tells what a network made of the images of `split`.
pub fn tell(judgement: Judgement, split: &Split, host: &impl Host) {
    let picture = |it: &Mistake| Picture { index: it.index, pixels: split.image(it.index).to_vec() };
    host.emit(Event::Pictures(judgement.mistakes.iter().map(picture).collect()));
    host.emit(Event::Judged(Box::new(judgement)));
}
