//! `cargo xtask shot`: takes a screenshot of a page, for review and for the README. It never builds or serves the page.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use browser_driver::{Browser, Page, Viewport};
use clap::Args;

use crate::report;

/// The options of `cargo xtask shot`.
#[derive(Args)]
pub struct Shot {
    /// The address of the page.
    url: String,
    /// Where to write the PNG.
    out: PathBuf,
    /// Width of the window in CSS pixels.
    #[arg(long, default_value_t = 1280)]
    width: u32,
    /// Height of the window in CSS pixels.
    #[arg(long, default_value_t = 900)]
    height: u32,
    /// Device pixels per CSS pixel.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Prefer dark colours.
    #[arg(long)]
    dark: bool,
    /// Emulate a phone: touch input, and the page's viewport meta tag applies.
    #[arg(long)]
    mobile: bool,
    /// Capture the whole page, not only the window.
    #[arg(long)]
    full: bool,
    /// Wait until this JavaScript expression is truthy.
    #[arg(long, value_name = "JS")]
    wait_for: Option<String>,
    /// How long to wait for --wait-for, in seconds.
    #[arg(long, default_value_t = 120)]
    limit_secs: u64,
    /// Draw a stroke before the screenshot: points as fractions of the element's size, e.g. `draw-pad:0.5,0.1 0.5,0.9`.
    #[arg(long, value_name = "TESTID:X,Y X,Y …", value_parser = parse_stroke)]
    stroke: Vec<Stroke>,
    /// Run this JavaScript before the screenshot.
    #[arg(long, value_name = "JS")]
    run: Option<String>,
    /// Wait for this many milliseconds before the screenshot.
    #[arg(long, default_value_t = 300)]
    wait_ms: u64,
}

/// A stroke to draw on an element; the points are fractions of its size.
#[derive(Clone, Debug, PartialEq)]
struct Stroke {
    testid: String,
    points: Vec<(f64, f64)>,
}

/// Takes the screenshot, and prints the page's errors.
///
/// # Errors
/// When there is no Chromium, the page cannot be opened, or the condition is not met in time.
pub fn take(shot: &Shot) -> Result<()> {
    let mut browser = Browser::launch(&browser_driver::find()?, &["--hide-scrollbars"])?;
    let mut page = browser.page()?;
    let Shot { width, height, scale, mobile, .. } = *shot;
    page.set_viewport(Viewport { width, height, scale, mobile })?;
    page.prefer(shot.dark, false)?;
    page.navigate(&shot.url)?;
    prepare(&mut page, shot)?;
    page.save_screenshot(shot.full, &shot.out)?;
    page.errors().iter().for_each(|error| report(format!("the page says: {error}")));
    report(format!("{} is a picture of {}", shot.out.display(), shot.url));
    Ok(())
}

/// Waits, draws and runs the script, as the options say.
fn prepare(page: &mut Page, shot: &Shot) -> Result<()> {
    if let Some(condition) = &shot.wait_for {
        page.wait_for(condition, Duration::from_secs(shot.limit_secs))?;
    }
    for stroke in &shot.stroke {
        page.stroke(&stroke.testid, &stroke.points)?;
    }
    if !shot.stroke.is_empty() {
        // Drawing has scrolled the page to the element.
        page.evaluate("scrollTo(0, 0)")?;
    }
    if let Some(expression) = &shot.run {
        page.evaluate(expression)?;
    }
    thread::sleep(Duration::from_millis(shot.wait_ms));
    Ok(())
}

fn parse_stroke(text: &str) -> Result<Stroke, String> {
    let (testid, points) = text.split_once(':').ok_or("a stroke is written TESTID:X,Y X,Y …")?;
    let points = points.split_whitespace().map(parse_point).collect::<Result<_, _>>()?;
    Ok(Stroke { testid: testid.to_owned(), points })
}

fn parse_point(text: &str) -> Result<(f64, f64), String> {
    let point = text.split_once(',').and_then(|(x, y)| Some((x.parse().ok()?, y.parse().ok()?)));
    point.ok_or_else(|| format!("{text} is not a point: write X,Y with fractions of the element's size"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strokes_are_parsed() {
        let stroke = parse_stroke("draw-pad:0.5,0.1 0.5,0.9").unwrap();
        assert_eq!(stroke, Stroke { testid: "draw-pad".into(), points: vec![(0.5, 0.1), (0.5, 0.9)] });
        assert!(parse_stroke("0.5,0.1").is_err());
        assert!(parse_stroke("draw-pad:0.5").is_err());
    }
}
