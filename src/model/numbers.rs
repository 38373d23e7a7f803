//! Numbers as the page writes them: counts, percentages, durations, bytes, speeds. It knows nothing of runs.

/// An expected duration, rounded to its largest unit.
pub fn duration(secs: f64) -> String {
    match secs {
        secs if secs < 90.0 => format!("{:.0} s", secs.max(1.0)),
        secs if secs < 5400.0 => format!("{:.0} min", secs / 60.0),
        secs => format!("{:.1} h", secs / 3600.0),
    }
}

/// An estimated number of bytes in MB or GB, with two significant digits.
pub fn bytes(n: u64) -> String {
    let mega = n as f64 / 1e6;
    let step = 10f64.powf((mega.max(1.0).log10().floor() - 1.0).max(0.0));
    let mega = (mega / step).round() * step;
    if mega >= 1000.0 { format!("{:.1} GB", mega / 1000.0) } else { format!("{mega:.0} MB") }
}

/// A number of epochs in words.
pub fn epochs(n: usize) -> String {
    if n == 1 { "1 epoch".into() } else { format!("{} epochs", count(n as u64)) }
}

/// A whole number with a comma between thousands: 12,800.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A fraction from 0 to 1 as a percentage with two decimals.
pub fn percent(fraction: f64) -> String {
    format!("{:.2} %", fraction * 100.0)
}

/// A probability as a percentage. It is never rounded up to 100 %.
pub fn confidence(probability: f32) -> String {
    let percent = 100.0 * f64::from(probability);
    if percent > 99.9 { format!("{:.2} %", percent.min(99.99)) } else { format!("{percent:.1} %") }
}

/// The remaining time in the unit that fits. Empty when `secs` is not finite.
pub fn time_left(secs: f64) -> String {
    match secs {
        secs if !secs.is_finite() => String::new(),
        secs if secs < 1.0 => "almost done".into(),
        secs if secs < 90.0 => format!("{secs:.0} s left"),
        secs if secs < 5400.0 => format!("{:.0} min left", secs / 60.0),
        secs => format!("{:.1} h left", secs / 3600.0),
    }
}

/// A training speed in images per second, with a decimal below 10.
pub fn pace(images_per_second: f64) -> String {
    if images_per_second < 10.0 {
        format!("{images_per_second:.1} images/s")
    } else {
        format!("{} images/s", count(images_per_second.round() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_formatted() {
        assert_eq!([count(0), count(999), count(1000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(
            [time_left(0.2), time_left(42.4), time_left(600.0), time_left(7200.0)],
            ["almost done", "42 s left", "10 min left", "2.0 h left"]
        );
        assert_eq!(time_left(f64::INFINITY), "");
        assert_eq!([confidence(0.5), confidence(0.9992), confidence(0.999_999)], ["50.0 %", "99.92 %", "99.99 %"]);
        assert_eq!([pace(6.84), pace(1234.5)], ["6.8 images/s", "1,235 images/s"]);
        assert_eq!(
            [0, 4_300_000, 114_900_000, 996_000_000, 1_260_000_000].map(bytes),
            ["0 MB", "4 MB", "110 MB", "1.0 GB", "1.3 GB"]
        );
    }
}
