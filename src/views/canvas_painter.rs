//! Paints strokes on a canvas as smooth lines, at the resolution of the screen. A growing stroke repaints only its new
//! part.

use gloo::utils::window;
use inkling_core::preprocess::{Point, Stroke};
use wasm_bindgen::JsCast;
use web_sys::{CanvasRenderingContext2d, HtmlCanvasElement};

use crate::model::drawing::Drawing;

/// Line width of the pen, as a fraction of the pad's side.
const PEN: f64 = 0.055;

/// Paints drawings on one canvas, and remembers what the canvas shows.
#[derive(Default)]
pub struct CanvasPainter {
    /// Number of strokes on the canvas, and number of points of the last one.
    painted: (usize, usize),
}

impl CanvasPainter {
    /// Updates the canvas. `repaint_all` repaints everything, because the size or the colours may have changed.
    pub fn show(&mut self, canvas: &HtmlCanvasElement, drawing: &Drawing, repaint_all: bool) {
        let Some(context) = context(canvas) else { return };
        let strokes = drawing.strokes();
        let last = strokes.last().map_or(0, |stroke| stroke.points.len());
        let (n_strokes, n_points) = self.painted;
        let grows = strokes.len() == n_strokes && last >= n_points && drawing.is_drawing() && !repaint_all;
        let resized = fit(canvas);
        prepare(canvas, &context);
        if let (true, false, Some(stroke)) = (grows, resized, strokes.last()) {
            trace(&context, stroke, n_points.saturating_sub(3));
        } else {
            context.clear_rect(0.0, 0.0, 1.0, 1.0);
            strokes.iter().for_each(|stroke| trace(&context, stroke, 0));
        }
        self.painted = (strokes.len(), last);
    }
}

fn context(canvas: &HtmlCanvasElement) -> Option<CanvasRenderingContext2d> {
    canvas.get_context("2d").ok().flatten()?.dyn_into().ok()
}

/// Gives the canvas the number of device pixels that it covers. Returns whether that number changed.
fn fit(canvas: &HtmlCanvasElement) -> bool {
    let side = (f64::from(canvas.client_width()) * window().device_pixel_ratio()).round() as u32;
    let resized = side > 0 && canvas.width() != side;
    if resized {
        canvas.set_width(side);
        canvas.set_height(side);
    }
    resized
}

/// Sets the pen's style, and a coordinate system in which the pad's side is 1, as in strokes.
fn prepare(canvas: &HtmlCanvasElement, context: &CanvasRenderingContext2d) {
    let side = f64::from(canvas.width());
    // Fails only for numbers that are not finite.
    let _ = context.set_transform(side, 0.0, 0.0, side, 0.0, 0.0);
    let style = window().get_computed_style(canvas).ok().flatten();
    let ink = style.and_then(|style| style.get_property_value("color").ok()).unwrap_or("black".into());
    context.set_stroke_style_str(&ink);
    context.set_line_width(PEN);
    context.set_line_cap("round");
    context.set_line_join("round");
}

/// Draws a stroke from point `from` on, as quadratic curves through the midpoints between its points.
fn trace(context: &CanvasRenderingContext2d, stroke: &Stroke, from: usize) {
    let points = stroke.points.get(from..).unwrap_or_default();
    let Some(first) = points.first() else { return };
    let start = if from > 0 { middle(first, points.get(1).unwrap_or(first)) } else { place(first) };
    context.begin_path();
    context.move_to(start.0, start.1);
    for pair in points.windows(2) {
        let (control, end) = (place(&pair[0]), middle(&pair[0], &pair[1]));
        context.quadratic_curve_to(control.0, control.1, end.0, end.1);
    }
    let end = points.last().map_or(start, place);
    context.line_to(end.0, end.1);
    context.stroke();
}

fn place(point: &Point) -> (f64, f64) {
    (point.x.into(), point.y.into())
}

fn middle(a: &Point, b: &Point) -> (f64, f64) {
    (f64::from(a.x + b.x) / 2.0, f64::from(a.y + b.y) / 2.0)
}
