//! Start-up times of a first visit: from opening the address to a usable pad and to the first prediction, and from
//! Start to the first training step. Every round uses a new browser with an empty cache. The site is on this machine,
//! so the network is never measured.

use anyhow::Result;
use inkling_core::spec::ModelId;

use super::figure::{Case, Measurement, repeat};
use super::tab::Run;
use super::visit::{Site, Visit};

/// A stroke that is drawn as soon as the pad exists.
const STROKE: [(f64, f64); 4] = [(0.5, 0.15), (0.5, 0.4), (0.5, 0.6), (0.5, 0.85)];

/// Measures the times of a first visit.
///
/// # Errors
/// None: failures are in the table.
pub fn measure(site: &Site, n_rounds: usize) -> Result<Vec<Measurement>> {
    let how = "new profile, page from this machine, CPU engine";
    let visit = ["until the pad can be drawn on", "until a run can start", "until a drawing made at once is read"]
        .map(|what| Measurement::new(format!("first visit: {what}"), how, "ms"));
    let first = Run { engine: "cpu", model: ModelId::Classic, batch: 32, n_images: 96 };
    let steps = vec![
        Measurement::new(
            "classic: from Start to the first step",
            "CPU engine, batch 32, images unpacked on the way",
            "s",
        )
        .beside("limit 3 s"),
    ];
    let cases = vec![
        Case { measurements: visit.to_vec(), measure: Box::new(|| first_visit(site)) },
        Case { measurements: steps, measure: Box::new(move || Ok(vec![first.measure(site)?[1]])) },
    ];
    Ok(repeat(n_rounds, cases))
}

/// Visits the page and draws; returns when the pad was usable, when a run could start, and when the drawing was
/// predicted, in milliseconds since the navigation.
fn first_visit(site: &Site) -> Result<Vec<f64>> {
    let mut visit = Visit::open(site, "engine=cpu&model=compact")?;
    visit.noted("$.first.pad")?;
    visit.page.stroke("draw-pad", &STROKE)?;
    ["$.first.pad", "$.first.ready", "$.first.read"].into_iter().map(|when| visit.noted(when)).collect()
}
