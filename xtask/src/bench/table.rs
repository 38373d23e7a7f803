//! The table, for the terminal and as Markdown. Pure.

use super::figure::Figure;

const HEAD: [&str; 5] = ["what", "how", "median", "range", "beside"];

/// Columns of even width, for people at a terminal.
pub fn text(figures: &[Figure]) -> String {
    let rows: Vec<_> = std::iter::once(HEAD.map(str::to_owned)).chain(figures.iter().map(row)).collect();
    let widths = std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    rows.iter().map(|row| padded(row, &widths) + "\n").collect()
}

/// A table of Markdown.
pub fn markdown(figures: &[Figure]) -> String {
    let line = |cells: [String; 5]| format!("| {} |\n", cells.join(" | "));
    let head = line(HEAD.map(str::to_owned)) + "|---|---|---|---|---|\n";
    figures.iter().fold(head, |table, figure| table + &line(row(figure)))
}

fn row(figure: &Figure) -> [String; 5] {
    [figure.what.clone(), figure.how.clone(), figure.told(), figure.range(), figure.beside.clone()]
}

fn padded(row: &[String; 5], widths: &[usize; 5]) -> String {
    let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    cells.join("  ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures() -> [Figure; 2] {
        let fast = Figure::new("compact", "cpu", "images/s").with(vec![10.0, 30.0, 20.0]).beside("2 ×");
        [fast, Figure::not_run("peers", "give --peers")]
    }

    #[test]
    fn columns_stand_below_each_other() {
        let told = text(&figures());
        let lines: Vec<_> = told.lines().collect();
        assert_eq!(lines[0], "what     how  median         range                 beside");
        assert_eq!(lines[1], "compact  cpu  20.0 images/s  10.0 to 30.0 (n = 3)  2 ×");
        assert_eq!(lines[2].find("not run"), lines[0].find("median"));
    }

    #[test]
    fn markdown_has_one_line_a_figure() {
        let told = markdown(&figures());
        assert_eq!(told.lines().count(), 4);
        assert!(told.contains("| compact | cpu | 20.0 images/s | 10.0 to 30.0 (n = 3) | 2 × |"), "{told}");
        assert!(told.contains("| peers |  | not run |  | give --peers |"), "{told}");
    }
}
