//! A first visit: from the address to a pad that can be drawn on, to a drawing that is read, and from Start to the first
//! step. Every round has a browser of its own, with nothing in its cache; the site is on this machine.

use anyhow::Result;
use inkling_core::spec::ModelId;

use super::figure::{Case, Figure, repeat};
use super::tab::Run;
use super::visit::{Site, Visit};

/// A stroke drawn as soon as there is a pad.
const STROKE: [(f64, f64); 4] = [(0.5, 0.15), (0.5, 0.4), (0.5, 0.6), (0.5, 0.85)];

/// The times of a first visit.
///
/// # Errors
/// Never by itself: what fails is in the table.
pub fn measure(site: &Site, n_rounds: usize) -> Result<Vec<Figure>> {
    let how = "new profile, page from this machine, CPU engine";
    let visit = ["until the pad can be drawn on", "until a run can start", "until a drawing made at once is read"]
        .map(|what| Figure::new(format!("first visit: {what}"), how, "ms"));
    let first = Run { engine: "cpu", model: ModelId::Classic, batch: 32, n_images: 96 };
    let steps = vec![
        Figure::new("classic: from Start to the first step", "CPU engine, batch 32, images unpacked on the way", "s")
            .beside("limit 3 s"),
    ];
    let cases = vec![
        Case { figures: visit.to_vec(), measure: Box::new(|| first_visit(site)) },
        Case { figures: steps, measure: Box::new(move || Ok(vec![first.measure(site)?[1]])) },
    ];
    Ok(repeat(n_rounds, cases))
}

/// Milliseconds since the navigation.
fn first_visit(site: &Site) -> Result<Vec<f64>> {
    let mut visit = Visit::open(site, "engine=cpu&model=compact")?;
    visit.noted("$.first.pad")?;
    visit.page.stroke("draw-pad", &STROKE)?;
    ["$.first.pad", "$.first.ready", "$.first.read"].into_iter().map(|when| visit.noted(when)).collect()
}
