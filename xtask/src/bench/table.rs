//! The table of measurements, for the terminal and as Markdown. Pure; it never measures.

use super::figure::Measurement;

const HEAD: [&str; 5] = ["what", "how", "median", "range", "beside"];

/// The table with aligned columns, for a terminal.
pub fn text(measurements: &[Measurement]) -> String {
    let rows: Vec<_> = std::iter::once(HEAD.map(str::to_owned)).chain(measurements.iter().map(row)).collect();
    let widths = std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    rows.iter().map(|row| padded(row, &widths) + "\n").collect()
}

/// The table in Markdown.
pub fn markdown(measurements: &[Measurement]) -> String {
    let line = |cells: [String; 5]| format!("| {} |\n", cells.join(" | "));
    let head = line(HEAD.map(str::to_owned)) + "|---|---|---|---|---|\n";
    measurements.iter().fold(head, |table, measurement| table + &line(row(measurement)))
}

fn row(measurement: &Measurement) -> [String; 5] {
    [
        measurement.what.clone(),
        measurement.how.clone(),
        measurement.told(),
        measurement.range(),
        measurement.beside.clone(),
    ]
}

fn padded(row: &[String; 5], widths: &[usize; 5]) -> String {
    let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    cells.join("  ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measurements() -> [Measurement; 2] {
        let fast = Measurement::new("compact", "cpu", "images/s").with(vec![10.0, 30.0, 20.0]).beside("2 ×");
        [fast, Measurement::not_run("peers", "give --peers")]
    }

    #[test]
    fn columns_are_aligned() {
        let table = text(&measurements());
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines[0], "what     how  median         range                 beside");
        assert_eq!(lines[1], "compact  cpu  20.0 images/s  10.0 to 30.0 (n = 3)  2 ×");
        assert_eq!(lines[2].find("not run"), lines[0].find("median"));
    }

    #[test]
    fn markdown_has_one_line_per_measurement() {
        let table = markdown(&measurements());
        assert_eq!(table.lines().count(), 4);
        assert!(table.contains("| compact | cpu | 20.0 images/s | 10.0 to 30.0 (n = 3) | 2 × |"), "{table}");
        assert!(table.contains("| peers |  | not run |  | give --peers |"), "{table}");
    }
}
