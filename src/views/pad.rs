//! The pad: records strokes of mouse, finger and pen, paints them, and offers undo, redo and clear.

use gloo::events::EventListener;
use gloo::utils::window;
use inkling_core::preprocess::Point;
use leptos::prelude::*;
use leptos::{ev, html};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{HtmlCanvasElement, KeyboardEvent, PointerEvent};

use crate::link::state::Page;
use crate::views::canvas_painter::CanvasPainter;

/// The canvas to draw on, and its buttons.
#[component]
pub fn Pad(page: Page) -> impl IntoView {
    let canvas = NodeRef::<html::Canvas>::new();
    let drawing = page.drawing;
    keep_painted(canvas, page);
    let keys = window_event_listener(ev::keydown, move |event| shortcut(page, &event));
    on_cleanup(move || keys.remove());
    view! {
        <div class="pad">
            <canvas node_ref=canvas class="pad-sheet" data-testid="draw-pad" tabindex="0" role="img"
                aria-label="Pad: draw a digit here" aria-describedby="pad-help"
                on:pointerdown=move |event| pen_down(page, canvas, &event)
                on:pointermove=move |event| pen_move(page, canvas, &event)
                on:pointerup=move |event| pen_up(page, canvas, &event)
                on:pointercancel=move |_| drawing.update(|drawing| drawing.cancel())
                on:contextmenu=|event| event.prevent_default()
                on:lostpointercapture=move |_| drawing.update(|drawing| drawing.end())>
            </canvas>
            <p class="pad-invitation" aria-hidden="true" hidden=move || drawing.with(|drawing| !drawing.is_empty())>
                <svg class="pad-hint" viewBox="0 0 48 64"><path d="M10 18C13 6 36 4 37 18 38 30 16 40 9 56 20 54 30 54 41 57" /></svg>
                "Draw a digit here"
            </p>
        </div>
        <Tools page />
        <p class="visually-hidden" id="pad-help">
            "Draw with mouse, finger or pen. Control Z undoes a stroke, Control Shift Z redoes it, Escape or Delete clears."
        </p>
    }
    .into_any()
}

/// The buttons for undo, redo and clear.
#[component]
fn Tools(page: Page) -> impl IntoView {
    let drawing = page.drawing;
    let unavailable = move |can: fn(&crate::model::drawing::Drawing) -> bool| drawing.with(|drawing| !can(drawing));
    view! {
        <div class="tools">
            <button class="button tool" type="button" data-testid="undo" title="Undo (Ctrl+Z)" disabled=move || unavailable(|it| it.can_undo())
                on:click=move |_| drawing.update(|drawing| drawing.undo())>"Undo"</button>
            <button class="button tool" type="button" data-testid="redo" title="Redo (Ctrl+Shift+Z)" disabled=move || unavailable(|it| it.can_redo())
                on:click=move |_| drawing.update(|drawing| drawing.redo())>"Redo"</button>
            <button class="button tool" type="button" data-testid="clear" title="Clear (Esc)" disabled=move || unavailable(|it| !it.is_empty())
                on:click=move |_| drawing.update(|drawing| drawing.clear())>"Clear"</button>
        </div>
    }
    .into_any()
}

/// Repaints the canvas when the drawing, its size on the screen or the system's colour scheme changes.
fn keep_painted(canvas: NodeRef<html::Canvas>, page: Page) {
    let painter = StoredValue::new_local(CanvasPainter::default());
    let repaint = move |repaint_all: bool| {
        if let Some(canvas) = canvas.get_untracked() {
            painter.update_value(|painter| {
                page.drawing.with_untracked(|drawing| painter.show(&canvas, drawing, repaint_all))
            });
        }
    };
    // The first repaint waits for the browser's own layout, so that it does not force another one.
    Effect::new(move |_| {
        if canvas.get().is_some() {
            request_animation_frame(move || repaint(true));
        }
    });
    Effect::new(move |first: Option<()>| {
        page.drawing.track();
        if first.is_some() {
            repaint(false);
        }
    });
    EventListener::new(&window(), "resize", move |_| repaint(true)).forget();
    if let Ok(Some(scheme)) = window().match_media("(prefers-color-scheme: dark)") {
        EventListener::new(&scheme, "change", move |_| repaint(true)).forget();
    }
}

/// Whether a pointer draws: only the first finger and the main button do.
fn draws(event: &PointerEvent) -> bool {
    event.is_primary() && event.button() <= 0
}

fn pen_down(page: Page, canvas: NodeRef<html::Canvas>, event: &PointerEvent) {
    let Some(canvas) = canvas.get_untracked().filter(|_| draws(event)) else { return };
    // Fails only when the pointer has already left. Its stroke is then a dot.
    let _ = canvas.set_pointer_capture(event.pointer_id());
    page.drawing.update(|drawing| {
        drawing.end();
        drawing.begin(point(&canvas, event));
    });
}

fn pen_move(page: Page, canvas: NodeRef<html::Canvas>, event: &PointerEvent) {
    let drawing = page.drawing.with_untracked(|drawing| drawing.is_drawing());
    let Some(canvas) = canvas.get_untracked().filter(|_| drawing && draws(event)) else { return };
    let points: Vec<_> = coalesced(event).iter().map(|event| point(&canvas, event)).collect();
    page.drawing.update(|drawing| drawing.extend(points));
}

fn pen_up(page: Page, canvas: NodeRef<html::Canvas>, event: &PointerEvent) {
    let drawing = page.drawing.with_untracked(|drawing| drawing.is_drawing());
    let Some(canvas) = canvas.get_untracked().filter(|_| drawing && draws(event)) else { return };
    page.drawing.update(|drawing| {
        drawing.extend([point(&canvas, event)]);
        drawing.end();
    });
}

/// Every pen position since the last event. Browsers without coalesced events report only the last position.
fn coalesced(event: &PointerEvent) -> Vec<PointerEvent> {
    let supported = js_sys::Reflect::has(event, &JsValue::from_str("getCoalescedEvents")).unwrap_or(false);
    let events = if supported { event.get_coalesced_events() } else { js_sys::Array::new() };
    let events: Vec<_> = events.iter().filter_map(|event| event.dyn_into().ok()).collect();
    if events.is_empty() { vec![event.clone()] } else { events }
}

/// The position of an event as fractions of the pad's sides, so that strokes keep their place when the pad is resized.
fn point(canvas: &HtmlCanvasElement, event: &PointerEvent) -> Point {
    let bounds = canvas.get_bounding_client_rect();
    let fraction = |offset: f64, side: f64| (offset / side.max(1.0)) as f32;
    Point {
        x: fraction(f64::from(event.client_x()) - bounds.left(), bounds.width()),
        y: fraction(f64::from(event.client_y()) - bounds.top(), bounds.height()),
    }
}

/// Handles the shortcuts for undo, redo and clear, unless the focus is in a form field.
fn shortcut(page: Page, event: &KeyboardEvent) {
    let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    if target.is_some_and(|target| matches!(target.tag_name().as_str(), "INPUT" | "SELECT" | "TEXTAREA")) {
        return;
    }
    let modifier = event.ctrl_key() || event.meta_key();
    match (event.key().as_str(), modifier, event.shift_key()) {
        ("z" | "Z", true, false) => page.drawing.update(|drawing| drawing.undo()),
        ("z" | "Z", true, true) | ("y", true, false) => page.drawing.update(|drawing| drawing.redo()),
        ("Escape" | "Delete" | "Backspace", false, false) => page.drawing.update(|drawing| drawing.clear()),
        _ => return,
    }
    event.prevent_default();
}
