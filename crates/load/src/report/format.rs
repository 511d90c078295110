//! Figures as people read them.

/// Seconds as `870 µs`, `12.3 ms` or `1.26 s`: three digits, since nobody's measurement has more.
pub fn latency(seconds: f64) -> String {
    let us = seconds * 1e6;
    if us < 999.5 {
        format!("{us:.0} µs")
    } else if us < 999_500.0 {
        format!("{} ms", three_digits(us / 1e3))
    } else {
        format!("{} s", three_digits(seconds))
    }
}

/// The same for a figure that there may be none of.
pub fn latency_or_dash(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "–".to_owned(), latency)
}

/// `0.73`, `98.5`, `1,012`, `2.50 M`.
pub fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate < 99.95 && (rate - rate.round()).abs() > 1e-6 => three_digits(rate),
        rate if rate < 1e7 => count(rate.round() as u64),
        rate => format!("{:.1} M", rate / 1e6),
    }
}

/// A share of 1 in percent.
pub fn share(share: f64) -> String {
    match share * 100.0 {
        0.0 => "0 %".to_owned(),
        percent if percent < 0.01 => "<0.01 %".to_owned(),
        percent if percent < 9.995 => format!("{percent:.2} %"),
        percent => format!("{percent:.1} %"),
    }
}

/// Thousands set apart.
pub fn count(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A stretch of time: `800 ms`, `5 s`, `2 min 5 s`, `1 h 3 min`.
pub fn time(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0 if seconds <= 0.0 => "0 s".to_owned(),
        0 => format!("{:.0} ms", seconds * 1e3),
        1..60 if (seconds - seconds.round()).abs() > 0.05 => format!("{seconds:.1} s"),
        1..60 => format!("{whole} s"),
        60..3_600 if whole.is_multiple_of(60) => format!("{} min", whole / 60),
        60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
    }
}

fn three_digits(value: f64) -> String {
    match value {
        value if value < 9.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

/// Text from outside, safe in HTML and SVG, in attributes too. Control characters, which neither may hold, become a mark; lines stay lines.
pub fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            control if control.is_control() && control != '\n' => safe.push('\u{fffd}'),
            other => safe.push(other),
        }
    }
    safe
}

/// Text from outside, safe on a terminal: no escape sequence gets through.
pub fn printable(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_their_unit() {
        for (seconds, shown) in
            [(0.000_87, "870 µs"), (0.000_999_9, "1.00 ms"), (0.012_34, "12.3 ms"), (0.999_9, "1.00 s"), (1.262, "1.26 s"), (0.0, "0 µs")]
        {
            assert_eq!(latency(seconds), shown);
        }
        for (value, shown) in
            [(0.734, "0.73"), (98.54, "98.5"), (1_012.4, "1,012"), (99.97, "100"), (25e6, "25.0 M"), (20.0, "20"), (0.0, "0")]
        {
            assert_eq!(rate(value), shown);
        }
        for (value, shown) in [(0.0, "0 %"), (0.000_01, "<0.01 %"), (0.012_3, "1.23 %"), (1.0, "100.0 %")] {
            assert_eq!(share(value), shown);
        }
        for (value, shown) in
            [(0.4, "400 ms"), (2.5, "2.5 s"), (5.0, "5 s"), (120.0, "2 min"), (125.0, "2 min 5 s"), (3_780.0, "1 h 3 min")]
        {
            assert_eq!(time(value), shown.to_owned(), "{value}");
        }
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn nothing_from_outside_gets_through_as_markup() {
        assert_eq!(escaped("<a b='c' d=\"e\">&\u{1b}"), "&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;\u{fffd}");
        assert_eq!(printable("a\u{1b}[31mb\n"), "a\u{fffd}[31mb\u{fffd}");
    }
}
