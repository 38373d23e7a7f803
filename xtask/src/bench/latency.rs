//! From pen-up to the bars: the time until the page shows what the network reads in the whole drawing.
//!
//! The clock runs in the page: from the event of the pen-up to the change of the bars that follows the first question
//! sent after it. Only the lifting tells of the last point, so that there is always a new question. The next frame on
//! the screen, up to 16 ms later, is not in it.

use anyhow::Result;
use inkling_core::spec::ModelId;

use super::chosen;
use super::figure::Figure;
use super::visit::{Site, Visit};
use crate::say;

/// Drawings of one figure.
const N_DRAWINGS: usize = 30;
/// A 7, lifted on its way. The last point changes what the network sees: a straight line would only be fitted again.
const STROKE: [(f64, f64); 6] = [(0.3, 0.2), (0.5, 0.2), (0.7, 0.2), (0.6, 0.4), (0.5, 0.6), (0.4, 0.9)];

/// When the drawing was answered, in milliseconds since pen-up; false until then.
const LATENCY: &str = "(() => {
        const index = $.asked.findIndex((at) => at >= $.lifted);
        const answer = index >= 0 && $.answered.find(({ version }) => version > index);
        return answer ? answer.at - $.lifted : 0;
    })()";

/// Idle, and while each network trains.
///
/// # Errors
/// When the page fails.
pub fn measure(site: &Site, models: &[ModelId]) -> Result<Vec<Figure>> {
    let mut idle = Visit::ready(site, "engine=cpu&model=compact")?;
    let mut figures = vec![figure("idle, compact reads", &mut idle)?];
    drop(idle);
    for model in chosen(models, &[ModelId::Compact, ModelId::Classic]) {
        let query = format!("engine=cpu&dataset=mnist&split=published&model={model}&batch=128&epochs=40");
        let mut visit = Visit::ready(site, &query)?;
        visit.page.click("start")?;
        visit.wait_past_step(2)?;
        figures.push(figure(&format!("{model} trains, batch 128"), &mut visit)?);
    }
    Ok(figures)
}

fn figure(how: &str, visit: &mut Visit) -> Result<Figure> {
    let latencies = (0..N_DRAWINGS).map(|_| draw(visit)).collect::<Result<Vec<_>>>()?;
    let figure = Figure::new("pen-up to bars, CPU engine", how, "ms").with(latencies);
    let beside = format!("95th percentile {}", figure.percentile(0.95).map(super::figure::number).unwrap_or_default());
    say(format!("pen-up to bars, {how}: {}, {beside}", figure.told()));
    Ok(figure.beside(beside))
}

/// One drawing on an empty pad.
fn draw(visit: &mut Visit) -> Result<f64> {
    visit.page.flick("draw-pad", &STROKE)?;
    let latency = visit.noted(LATENCY)?;
    visit.page.click("clear")?;
    Ok(latency)
}
