//! The speed report as an SVG image. It never refers to a file or a font of its own, so that it renders the same
//! everywhere.

use super::{Row, SpeedReport};

/// Width of the image, in pixels at its natural scale.
pub const WIDTH: usize = 640;
/// Height of the image, in pixels at its natural scale.
pub const HEIGHT: usize = 336;

/// Right edges of the columns of figures, in pixels.
const COLUMNS: [usize; 3] = [330, 450, 600];

impl SpeedReport {
    /// The report as an SVG document.
    pub fn svg(&self) -> String {
        let mut body = text(40, 58, "title", "start", "Inkling speed report");
        body += &text(600, 58, "quiet", "end", &self.date);
        body += &text(40, 90, "strong", "start", &self.device());
        body += &text(40, 112, "quiet", "start", &self.program);
        let heads = ["images/s", "GFLOP/s", "first step"];
        body += &COLUMNS.iter().zip(heads).map(|(x, head)| text(*x, 150, "quiet", "end", head)).collect::<String>();
        body += "<path d=\"M40 160H600\" stroke=\"#d9dce8\"/>";
        body += &self.rows().into_iter().enumerate().map(|(at, it)| row(190 + 32 * at, it)).collect::<String>();
        body += &text(40, 290, "quiet", "start", self.warning().unwrap_or_default());
        body += &text(40, 312, "quiet", "start", &self.method());
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{HEIGHT}\" viewBox=\"0 0 {WIDTH} \
             {HEIGHT}\">{STYLE}<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#ffffff\"/><path d=\"M0 0H{WIDTH}V8H0z\" \
             fill=\"#2f44c8\"/>{body}</svg>"
        )
    }
}

/// The colours of the page's light theme, whatever the user has set: the image is shown outside the page.
const STYLE: &str = "<style>text{font:15px system-ui,sans-serif;fill:#171a2b}.title{font-size:24px;font-weight:700}\
                     .strong{font-weight:600}.quiet{font-size:13px;fill:#565c74}.figure{font-size:20px;font-weight:600}\
                     </style>";

fn row(y: usize, row: Row) -> String {
    let figures = [row.images(), row.flops(), format!("{:.2} s", row.first_step_secs)];
    let figures = COLUMNS.iter().zip(figures).map(|(x, figure)| text(*x, y, "figure", "end", &figure));
    text(40, y, "figure", "start", row.model) + &figures.collect::<String>()
}

fn text(x: usize, y: usize, class: &str, anchor: &str, content: &str) -> String {
    let content = content.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<text x=\"{x}\" y=\"{y}\" class=\"{class}\" text-anchor=\"{anchor}\">{content}</text>")
}

#[cfg(test)]
mod tests {
    use crate::speed_report::tests::report;

    #[test]
    fn adapter_names_are_escaped() {
        let mut report = report();
        report.engine.adapter = "a<b> & c".into();
        let svg = report.svg();
        assert!(svg.contains("CPU: a&lt;b&gt; &amp; c"), "{svg}");
        assert_eq!(svg.matches('<').count(), svg.matches('>').count());
    }

    #[test]
    fn the_image_holds_the_same_figures() {
        let svg = report().svg();
        for text in ["2026-11-21", "compact", ">2000<", "classic", ">34.6<", "Chrome 156 on Linux"] {
            assert!(svg.contains(text), "{text} is not in {svg}");
        }
    }
}
