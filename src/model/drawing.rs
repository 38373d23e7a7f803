//! What was drawn on the pad: strokes as vectors, with everything undone and redone. Pure.

use inkling_core::preprocess::{Point, Stroke};

/// Strokes, and what they were before.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Drawing {
    strokes: Vec<Stroke>,
    past: Vec<Vec<Stroke>>,
    future: Vec<Vec<Stroke>>,
    /// The pen is on the paper: the last stroke grows.
    pen_down: bool,
}

impl Drawing {
    /// The strokes on the paper.
    pub fn strokes(&self) -> &[Stroke] {
        &self.strokes
    }

    pub fn is_empty(&self) -> bool {
        self.strokes.is_empty()
    }

    pub fn is_drawing(&self) -> bool {
        self.pen_down
    }

    pub fn can_undo(&self) -> bool {
        !self.past.is_empty()
    }

    pub fn can_redo(&self) -> bool {
        !self.future.is_empty()
    }

    /// The pen touches the paper.
    pub fn begin(&mut self, point: Point) {
        self.remember();
        self.strokes.push(Stroke { points: vec![point] });
        self.pen_down = true;
    }

    /// The pen moves on the paper. Says nothing when it is in the air.
    pub fn extend(&mut self, points: impl IntoIterator<Item = Point>) {
        if let (true, Some(stroke)) = (self.pen_down, self.strokes.last_mut()) {
            stroke.points.extend(points);
        }
    }

    /// The pen leaves the paper.
    pub fn end(&mut self) {
        self.pen_down = false;
    }

    /// The stroke was none: a second finger came, or the system took the pointer away.
    pub fn cancel(&mut self) {
        if self.pen_down {
            self.undo();
            self.future.pop();
        }
    }

    /// Takes back the last stroke, or the last clearing.
    pub fn undo(&mut self) {
        if let Some(before) = self.past.pop() {
            self.future.push(std::mem::replace(&mut self.strokes, before));
            self.pen_down = false;
        }
    }

    /// Does again what was taken back.
    pub fn redo(&mut self) {
        if let Some(after) = self.future.pop() {
            self.past.push(std::mem::replace(&mut self.strokes, after));
            self.pen_down = false;
        }
    }

    /// A new sheet of paper. Can be undone.
    pub fn clear(&mut self) {
        if !self.is_empty() {
            self.remember();
            self.strokes.clear();
            self.pen_down = false;
        }
    }

    fn remember(&mut self) {
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

    /// A drawing of strokes with so many points each.
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
    fn a_new_stroke_ends_what_could_be_redone() {
        let mut drawing = drawing(&[3, 2]);
        drawing.undo();
        drawing.begin(point(9.0));
        assert!(!drawing.can_redo());
        assert_eq!(lengths(&drawing), [3, 1]);
    }

    #[test]
    fn a_cancelled_stroke_never_was() {
        let mut drawing = drawing(&[3]);
        drawing.begin(point(1.0));
        drawing.cancel();
        assert_eq!(lengths(&drawing), [3]);
        assert!(!drawing.can_redo());
        drawing.cancel();
        assert_eq!(lengths(&drawing), [3]);
    }

    #[test]
    fn a_pen_in_the_air_leaves_no_ink() {
        let mut drawing = drawing(&[2]);
        drawing.extend([point(5.0)]);
        assert_eq!(lengths(&drawing), [2]);
        Drawing::default().undo();
        Drawing::default().redo();
    }
}
