//! `cargo xtask shot`: a picture of a page, to look at it and for the README.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::Result;
use browser_driver::{Browser, Page, Viewport};
use clap::Args;

use crate::say;

/// What to look at, and how.
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
    /// Device pixels in a CSS pixel.
    #[arg(long, default_value_t = 1.0)]
    scale: f64,
    /// Prefer dark colours.
    #[arg(long)]
    dark: bool,
    /// Be a phone: touch, and the page's own viewport rules.
    #[arg(long)]
    mobile: bool,
    /// The whole page, not only the window.
    #[arg(long)]
    full: bool,
    /// Wait until this JavaScript expression is truthy.
    #[arg(long, value_name = "JS")]
    wait_for: Option<String>,
    /// How long to wait for it, in seconds.
    #[arg(long, default_value_t = 120)]
    limit_secs: u64,
    /// Draw a stroke before looking: points as fractions of the element's size, e.g. `draw-pad:0.5,0.1 0.5,0.9`.
    #[arg(long, value_name = "TESTID:X,Y X,Y …", value_parser = parse_stroke)]
    stroke: Vec<Stroke>,
    /// Run this JavaScript before looking.
    #[arg(long, value_name = "JS")]
    run: Option<String>,
    /// Wait so long before looking, in milliseconds.
    #[arg(long, default_value_t = 300)]
    wait_ms: u64,
}

/// A line drawn on an element.
#[derive(Clone, Debug, PartialEq)]
struct Stroke {
    testid: String,
    points: Vec<(f64, f64)>,
}

/// Takes the picture; what the page complained about goes to the terminal.
///
/// # Errors
/// When there is no Chromium, no page, or the condition is not met in time.
pub fn take(shot: &Shot) -> Result<()> {
    let mut browser = Browser::launch(&browser_driver::find()?, &["--hide-scrollbars"])?;
    let mut page = browser.page()?;
    let Shot { width, height, scale, mobile, .. } = *shot;
    page.set_viewport(Viewport { width, height, scale, mobile })?;
    page.prefer(shot.dark, false)?;
    page.navigate(&shot.url)?;
    prepare(&mut page, shot)?;
    page.save_screenshot(shot.full, &shot.out)?;
    page.errors().iter().for_each(|error| say(format!("the page says: {error}")));
    say(format!("{} is a picture of {}", shot.out.display(), shot.url));
    Ok(())
}

fn prepare(page: &mut Page, shot: &Shot) -> Result<()> {
    if let Some(condition) = &shot.wait_for {
        page.wait_for(condition, Duration::from_secs(shot.limit_secs))?;
    }
    for stroke in &shot.stroke {
        page.stroke(&stroke.testid, &stroke.points)?;
    }
    if !shot.stroke.is_empty() {
        // Drawing scrolled to the element.
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
    fn strokes_are_read() {
        let stroke = parse_stroke("draw-pad:0.5,0.1 0.5,0.9").unwrap();
        assert_eq!(stroke, Stroke { testid: "draw-pad".into(), points: vec![(0.5, 0.1), (0.5, 0.9)] });
        assert!(parse_stroke("0.5,0.1").is_err());
        assert!(parse_stroke("draw-pad:0.5").is_err());
    }
}
