//! The drawing on the pad: strokes as vectors, with undo and redo. Pure: it never paints.

use inkling_core::preprocess::{Point, Stroke};

/// The strokes, with their undo and redo history.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drawing {
    strokes: Vec<Stroke>,
    /// Earlier states, the most recent last.
    past: Vec<Vec<Stroke>>,
    /// Undone states, the most recently undone last.
    future: Vec<Vec<Stroke>>,
    /// The pen is down: the last stroke grows.
    pen_down: bool,
}

impl Drawing {
    /// The current strokes, in drawing order.
    pub fn strokes(&self) -> &[Stroke] {
        &self.strokes
    }

    /// Whether there are no strokes.
    pub fn is_empty(&self) -> bool {
        self.strokes.is_empty()
    }

    /// Whether a stroke is being drawn.
    pub fn is_drawing(&self) -> bool {
        self.pen_down
    }

    /// Whether there is a change to undo.
    pub fn can_undo(&self) -> bool {
        !self.past.is_empty()
    }

    /// Whether there is a change to redo.
    pub fn can_redo(&self) -> bool {
        !self.future.is_empty()
    }

    /// The pen goes down: starts a stroke at `point`.
    pub fn begin(&mut self, point: Point) {
        self.save_for_undo();
        self.strokes.push(Stroke { points: vec![point] });
        self.pen_down = true;
    }

    /// The pen moves: adds `points` to the current stroke. Does nothing while the pen is up.
    pub fn extend(&mut self, points: impl IntoIterator<Item = Point>) {
        if let (true, Some(stroke)) = (self.pen_down, self.strokes.last_mut()) {
            stroke.points.extend(points);
        }
    }

    /// The pen goes up: ends the stroke.
    pub fn end(&mut self) {
        self.pen_down = false;
    }

    /// Removes the current stroke without a trace in the history, because a second finger touched the pad or the system
    /// took the pointer over.
    pub fn cancel(&mut self) {
        if self.pen_down {
            self.undo();
            self.future.pop();
        }
    }

    /// Undoes the last stroke or the last [`Drawing::clear`].
    pub fn undo(&mut self) {
        if let Some(before) = self.past.pop() {
            self.future.push(std::mem::replace(&mut self.strokes, before));
            self.pen_down = false;
        }
    }

    /// Redoes the last undone change.
    pub fn redo(&mut self) {
        if let Some(after) = self.future.pop() {
            self.past.push(std::mem::replace(&mut self.strokes, after));
            self.pen_down = false;
        }
    }

    /// Removes all strokes. Can be undone.
    pub fn clear(&mut self) {
        if !self.is_empty() {
            self.save_for_undo();
            self.strokes.clear();
            self.pen_down = false;
        }
    }

    /// Saves the current strokes for undo. Called before a change.
    fn save_for_undo(&mut self) {
        self.past.push(self.strokes.clone());
        self.future.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(x: f32) -> Point {
        Point { x, y: 0.0 }
    }

    /// A drawing of strokes with these numbers of points.
    fn drawing(lengths: &[usize]) -> Drawing {
        let mut drawing = Drawing::default();
        for &length in lengths {
            drawing.begin(point(0.0));
            drawing.extend((1..length).map(|i| point(i as f32)));
            drawing.end();
        }
        drawing
    }

    fn lengths(drawing: &Drawing) -> Vec<usize> {
        drawing.strokes().iter().map(|stroke| stroke.points.len()).collect()
    }

    #[test]
    fn strokes_are_undone_and_redone() {
        let mut drawing = drawing(&[3, 2]);
        drawing.undo();
        assert_eq!(lengths(&drawing), [3]);
        drawing.redo();
        assert_eq!(lengths(&drawing), [3, 2]);
        assert!(!drawing.can_redo());
    }

    #[test]
    fn clearing_can_be_undone() {
        let mut drawing = drawing(&[3, 2]);
        drawing.clear();
        assert!(drawing.is_empty());
        drawing.undo();
        assert_eq!(lengths(&drawing), [3, 2]);
    }

    #[test]
    fn a_new_stroke_clears_the_redo_history() {
        let mut drawing = drawing(&[3, 2]);
        drawing.undo();
        drawing.begin(point(9.0));
        assert!(!drawing.can_redo());
        assert_eq!(lengths(&drawing), [3, 1]);
    }

    #[test]
    fn a_cancelled_stroke_leaves_no_history() {
        let mut drawing = drawing(&[3]);
        drawing.begin(point(1.0));
        drawing.cancel();
        assert_eq!(lengths(&drawing), [3]);
        assert!(!drawing.can_redo());
        drawing.cancel();
        assert_eq!(lengths(&drawing), [3]);
    }

    #[test]
    fn a_pen_that_is_up_draws_nothing() {
        let mut drawing = drawing(&[2]);
        drawing.extend([point(5.0)]);
        assert_eq!(lengths(&drawing), [2]);
        Drawing::default().undo();
        Drawing::default().redo();
    }
}
