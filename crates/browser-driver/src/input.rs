//! User input to a tab: clicks, strokes with mouse, pen or finger, keys. Events go through the browser's input
//! pipeline; they are never dispatched by scripts, except in [`Page::fill`].

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::page::{Page, document_changed, element};

/// How long an element may be disabled, covered or moving before a click fails. A part of the page that opens or moves
/// settles within this time, on a busy machine too.
const REACHED_WITHIN: Duration = Duration::from_secs(5);

/// A rectangle in CSS pixels, relative to the window's upper left corner.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rect {
    /// Distance of the left side from the window's left side.
    pub x: f64,
    /// Distance of the upper side from the window's upper side.
    pub y: f64,
    /// Width.
    pub width: f64,
    /// Height.
    pub height: f64,
}

impl Rect {
    /// The point at a fraction of the width and of the height: (0, 0) is the upper left corner, (1, 1) the lower right
    /// one.
    pub fn at(&self, (across, down): (f64, f64)) -> (f64, f64) {
        (self.x + across * self.width, self.y + down * self.height)
    }
}

impl Page {
    /// Scrolls the element with this `data-testid` into view, waits until it no longer moves, and returns its
    /// rectangle.
    ///
    /// # Errors
    /// When there is no such element.
    pub fn bounds(&mut self, testid: &str) -> Result<Rect> {
        let measured = self.evaluate(&format!(
            "(async () => {{
                const element = {};
                for (let before = ''; ; await new Promise(requestAnimationFrame)) {{
                    element.scrollIntoView({{ block: 'center', inline: 'center', behavior: 'instant' }});
                    const {{ x, y, width, height }} = element.getBoundingClientRect();
                    const now = [x, y, width, height];
                    if (String(now) === before) return now;
                    before = String(now);
                }}
            }})()",
            element(testid)
        ))?;
        let side = |i: usize| measured[i].as_f64().with_context(|| format!("{testid} has no size"));
        Ok(Rect { x: side(0)?, y: side(1)?, width: side(2)?, height: side(3)? })
    }

    /// Clicks the middle of the element with this `data-testid`, as a person would: waits until it can be reached, and
    /// clicks again if the page moved during the click.
    ///
    /// # Errors
    /// When there is no such element, or it is still disabled, covered or moving after `REACHED_WITHIN` (5 s).
    pub fn click(&mut self, testid: &str) -> Result<()> {
        let deadline = Instant::now() + REACHED_WITHIN;
        loop {
            let point = self.bounds(testid)?.at((0.5, 0.5));
            let Some(why) = self.press_at(testid, point)? else { return Ok(()) };
            if Instant::now() > deadline {
                bail!("{testid} cannot be pressed: it is {why}");
            }
            sleep(Duration::from_millis(20));
        }
    }

    /// Clicks at this point if the click would reach the element; otherwise returns the reason why not, such as
    /// `covered`.
    fn press_at(&mut self, testid: &str, point: (f64, f64)) -> Result<Option<String>> {
        let obstacle = self.aim(testid, point)?;
        if obstacle.is_some() {
            return Ok(obstacle);
        }
        self.mouse("mouseMoved", point, 0, "mouse")?;
        self.mouse("mousePressed", point, 1, "mouse")?;
        self.mouse("mouseReleased", point, 0, "mouse")?;
        match self.evaluate("window.endPress?.() === false") {
            Ok(missed) => Ok((missed == true).then(|| "moving away".to_owned())),
            Err(error) if document_changed(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns the reason why a click at this point would not reach the element, if there is one. Otherwise it prepares
    /// the page for the click: listeners keep the click's events from all other elements, and `endPress` removes the
    /// listeners and returns whether the element was clicked. Both vanish with the document if the click loads another
    /// one.
    fn aim(&mut self, testid: &str, (x, y): (f64, f64)) -> Result<Option<String>> {
        let why = self.evaluate(&format!(
            "(() => {{
                const element = {}, hit = document.elementFromPoint({x}, {y});
                if (element.disabled) return 'disabled';
                if (!element.contains(hit)) return 'covered';
                let clicked = false;
                const watch = (event) => {{
                    if (element.contains(event.target)) return clicked ||= event.type === 'click';
                    event.stopImmediatePropagation();
                    event.preventDefault();
                }};
                const kinds = ['pointerdown', 'mousedown', 'pointerup', 'mouseup', 'click'];
                for (const kind of kinds) window.addEventListener(kind, watch, true);
                window.endPress = () => {{
                    for (const kind of kinds) window.removeEventListener(kind, watch, true);
                    delete window.endPress;
                    return clicked;
                }};
                return '';
            }})()",
            element(testid)
        ))?;
        Ok(why.as_str().filter(|why| !why.is_empty()).map(str::to_owned))
    }

    /// Draws one stroke with the mouse on the element with this `data-testid`; the points are fractions of its size.
    ///
    /// # Errors
    /// When there is no such element, or no point.
    pub fn stroke(&mut self, testid: &str, points: &[(f64, f64)]) -> Result<()> {
        self.stroke_with("mouse", testid, points)
    }

    /// As [`Page::stroke`], with a pen.
    ///
    /// # Errors
    /// When there is no such element, or no point.
    pub fn pen_stroke(&mut self, testid: &str, points: &[(f64, f64)]) -> Result<()> {
        self.stroke_with("pen", testid, points)
    }

    /// As [`Page::pen_stroke`], but the pen is lifted while it moves: only the pen-up event carries the last point.
    ///
    /// # Errors
    /// When there is no such element, or no point.
    pub fn stroke_with_late_lift(&mut self, testid: &str, points: &[(f64, f64)]) -> Result<()> {
        let bounds = self.bounds(testid)?;
        let points: Vec<_> = points.iter().map(|point| bounds.at(*point)).collect();
        let (_, last) = ends(&points)?;
        self.drag("pen", &points[..points.len() - 1])?;
        self.mouse("mouseReleased", last, 0, "pen")
    }

    fn stroke_with(&mut self, pointer: &str, testid: &str, points: &[(f64, f64)]) -> Result<()> {
        let bounds = self.bounds(testid)?;
        let points: Vec<_> = points.iter().map(|point| bounds.at(*point)).collect();
        let (_, last) = ends(&points)?;
        self.drag(pointer, &points)?;
        self.mouse("mouseReleased", last, 0, pointer)
    }

    /// Presses at the first point and moves to the others, without releasing. Points are in CSS pixels of the window.
    fn drag(&mut self, pointer: &str, points: &[(f64, f64)]) -> Result<()> {
        let (first, _) = ends(points)?;
        self.mouse("mouseMoved", first, 0, pointer)?;
        self.mouse("mousePressed", first, 1, pointer)?;
        points[1..].iter().try_for_each(|point| self.mouse("mouseMoved", *point, 1, pointer))
    }

    fn mouse(&mut self, kind: &str, (x, y): (f64, f64), buttons: u8, pointer: &str) -> Result<()> {
        // The protocol wants "none" for a move without a pressed button; press, drag and release name the left button.
        let button = if kind == "mouseMoved" && buttons == 0 { "none" } else { "left" };
        let params = json!({
            "type": kind, "x": x, "y": y, "button": button, "buttons": buttons, "clickCount": 1,
            "pointerType": pointer, "force": if buttons == 0 { 0.0 } else { 0.5 },
        });
        self.cdp.call("Input.dispatchMouseEvent", params)?;
        Ok(())
    }

    /// Draws one stroke with a finger on the element with this `data-testid`; the points are fractions of its size.
    ///
    /// # Errors
    /// When there is no such element, or no point.
    pub fn touch_stroke(&mut self, testid: &str, points: &[(f64, f64)]) -> Result<()> {
        self.set_touch(true)?;
        let bounds = self.bounds(testid)?;
        let points: Vec<_> = points.iter().map(|point| bounds.at(*point)).collect();
        let (first, _) = ends(&points)?;
        self.touch("touchStart", json!([{ "x": first.0, "y": first.1 }]))?;
        for (x, y) in &points[1..] {
            self.touch("touchMove", json!([{ "x": x, "y": y }]))?;
        }
        self.touch("touchEnd", json!([]))
    }

    fn touch(&mut self, kind: &str, points: Value) -> Result<()> {
        self.cdp.call("Input.dispatchTouchEvent", json!({ "type": kind, "touchPoints": points }))?;
        Ok(())
    }

    /// Presses a key, or a key with modifiers: `Tab`, `Enter`, `a`, `Control+z`, `Control+Shift+z`.
    ///
    /// # Errors
    /// When there is no such key or modifier.
    pub fn press(&mut self, keys: &str) -> Result<()> {
        let (held, key) = keys.rsplit_once('+').unwrap_or(("", keys));
        let modifiers = held.split('+').filter(|name| !name.is_empty()).map(modifier).sum::<Result<u8>>()?;
        let Key { name, code, number, text } = Key::named(key)?;
        let mut params = json!({
            "type": "keyDown", "key": name, "code": code, "windowsVirtualKeyCode": number, "modifiers": modifiers,
        });
        // A shortcut types no text.
        if let Some(text) = text.filter(|_| modifiers & !SHIFT == 0) {
            params["text"] = text.into();
        }
        self.cdp.call("Input.dispatchKeyEvent", params.clone())?;
        params["type"] = "keyUp".into();
        self.cdp.call("Input.dispatchKeyEvent", params)?;
        Ok(())
    }

    /// Sets the value of a field or of a selection, and dispatches the events `input` and `change` as typing would.
    ///
    /// # Errors
    /// When there is no such field.
    pub fn fill(&mut self, testid: &str, value: &str) -> Result<()> {
        self.evaluate(&format!(
            "(() => {{
                const field = {};
                const owner = Object.getPrototypeOf(field);
                Object.getOwnPropertyDescriptor(owner, 'value').set.call(field, {});
                field.dispatchEvent(new Event('input', {{ bubbles: true }}));
                field.dispatchEvent(new Event('change', {{ bubbles: true }}));
            }})()",
            element(testid),
            json!(value)
        ))?;
        Ok(())
    }
}

/// The first and the last point.
fn ends(points: &[(f64, f64)]) -> Result<((f64, f64), (f64, f64))> {
    Ok((*points.first().context("a stroke has points")?, *points.last().context("a stroke has points")?))
}

/// The protocol's modifier bit for Shift.
const SHIFT: u8 = 8;

/// The protocol's bit for a modifier key (CDP, `Input.dispatchKeyEvent`, `modifiers`).
fn modifier(name: &str) -> Result<u8> {
    Ok(match name {
        "Alt" => 1,
        "Control" => 2,
        "Meta" => 4,
        "Shift" => SHIFT,
        _ => bail!("{name} is not a key that is held"),
    })
}

/// A key as `Input.dispatchKeyEvent` describes it.
#[derive(Debug, PartialEq)]
struct Key {
    /// `KeyboardEvent.key`.
    name: String,
    /// `KeyboardEvent.code`.
    code: String,
    /// Windows' virtual key code, which the protocol requires.
    number: u32,
    /// The text that the key types, if any.
    text: Option<String>,
}

impl Key {
    fn named(key: &str) -> Result<Self> {
        let plain = |name: &str, number| Self { name: name.into(), code: name.into(), number, text: None };
        Ok(match key {
            "Tab" => plain("Tab", 9),
            "Escape" => plain("Escape", 27),
            "Backspace" => plain("Backspace", 8),
            "ArrowLeft" => plain("ArrowLeft", 37),
            "ArrowUp" => plain("ArrowUp", 38),
            "ArrowRight" => plain("ArrowRight", 39),
            "ArrowDown" => plain("ArrowDown", 40),
            "Enter" => Self { text: Some("\r".into()), ..plain("Enter", 13) },
            "Space" | " " => Self { name: " ".into(), code: "Space".into(), number: 32, text: Some(" ".into()) },
            _ => Self::printed(key)?,
        })
    }

    /// The key of a single character.
    fn printed(key: &str) -> Result<Self> {
        let mut letters = key.chars();
        let (Some(letter), None) = (letters.next(), letters.next()) else { bail!("{key} is not a key") };
        let upper = letter.to_ascii_uppercase();
        let code = if letter.is_ascii_digit() { format!("Digit{letter}") } else { format!("Key{upper}") };
        Ok(Self { name: key.into(), code, number: u32::from(upper), text: Some(key.into()) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_of_a_rect_are_points() {
        let bounds = Rect { x: 10.0, y: 20.0, width: 100.0, height: 50.0 };
        assert_eq!(bounds.at((0.5, 1.0)), (60.0, 70.0));
    }

    #[test]
    fn keys_have_codes() {
        let z = Key::named("z").unwrap();
        assert_eq!((z.code.as_str(), z.number, z.text.as_deref()), ("KeyZ", 90, Some("z")));
        assert_eq!(Key::named("7").unwrap().code, "Digit7");
        assert_eq!(Key::named("Enter").unwrap().text.as_deref(), Some("\r"));
        assert!(Key::named("Entre").is_err());
        assert!(modifier("Hyper").is_err());
    }

    #[test]
    fn a_stroke_needs_points() {
        assert!(ends(&[]).is_err());
        assert_eq!(ends(&[(1.0, 2.0)]).unwrap(), ((1.0, 2.0), (1.0, 2.0)));
    }
}
