//! Latency from pen-up to the bars: the time until the page shows the prediction for the whole drawing. It never
//! includes the next frame on the screen, up to 16 ms later.
//!
//! The clock runs in the page: from the pen-up event to the change of the bars that answers the first prediction
//! request after that event. Only the pen-up event carries the last point, so that it always causes a new request.

use anyhow::Result;
use inkling_core::spec::ModelId;

use super::chosen;
use super::figure::Measurement;
use super::visit::{Site, Visit};
use crate::report;

/// Number of drawings per measurement.
const N_DRAWINGS: usize = 30;
/// A 7 whose pen is lifted while it moves. The last point changes the image that the network gets; a straight line
/// would only be scaled to the same image again.
const STROKE: [(f64, f64); 6] = [(0.3, 0.2), (0.5, 0.2), (0.7, 0.2), (0.6, 0.4), (0.5, 0.6), (0.4, 0.9)];

/// Milliseconds from pen-up to the prediction of the drawing; 0 until then.
const LATENCY: &str = "(() => {
        const index = $.asked.findIndex((at) => at >= $.lifted);
        const answer = index >= 0 && $.answered.find(({ version }) => version > index);
        return answer ? answer.at - $.lifted : 0;
    })()";

/// Measures the latency on an idle page, and while each network trains.
///
/// # Errors
/// When the page fails.
pub fn measure(site: &Site, models: &[ModelId]) -> Result<Vec<Measurement>> {
    let mut idle = Visit::ready(site, "engine=cpu&model=compact")?;
    let mut measurements = vec![measurement("idle, compact reads", &mut idle)?];
    drop(idle);
    for model in chosen(models, &[ModelId::Compact, ModelId::Classic]) {
        let query = format!("engine=cpu&dataset=mnist&split=published&model={model}&batch=128&epochs=40");
        let mut visit = Visit::ready(site, &query)?;
        visit.page.click("start")?;
        visit.wait_past_step(2)?;
        measurements.push(measurement(&format!("{model} trains, batch 128"), &mut visit)?);
    }
    Ok(measurements)
}

fn measurement(how: &str, visit: &mut Visit) -> Result<Measurement> {
    let latencies = (0..N_DRAWINGS).map(|_| draw(visit)).collect::<Result<Vec<_>>>()?;
    let measurement = Measurement::new("pen-up to bars, CPU engine", how, "ms").with(latencies);
    let beside =
        format!("95th percentile {}", measurement.percentile(0.95).map(super::figure::number).unwrap_or_default());
    report(format!("pen-up to bars, {how}: {}, {beside}", measurement.told()));
    Ok(measurement.beside(beside))
}

/// Draws on an empty pad; returns the latency in milliseconds.
fn draw(visit: &mut Visit) -> Result<f64> {
    visit.page.stroke_with_late_lift("draw-pad", &STROKE)?;
    let latency = visit.noted(LATENCY)?;
    visit.page.click("clear")?;
    Ok(latency)
}
