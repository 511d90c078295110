//! Reads a promise, and says where one is wrong and what would be right.

use super::{Figure, Objective, Relation, Slo};

/// More objectives than anybody promises.
const OBJECTIVES_MAX: usize = 32;

const FIGURES: &str = "p50 to p99.99, mean, max, errors, rate or goodput";

/// What is wrong with a promise, and where: positions count characters from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SloError {
    #[error("an objective is missing at character {position}: write FIGURE<BOUND, such as p99<200ms")]
    Missing { position: usize },
    #[error("`{text}` at character {position} is not a figure: use {FIGURES}")]
    Figure { text: String, position: usize },
    #[error("`{text}` at character {position} has no comparison: use <, <=, > or >=, such as p99<200ms")]
    Relation { text: String, position: usize },
    #[error("`{text}` at character {position} is not {expected}")]
    Bound { text: String, position: usize, expected: &'static str },
    #[error("`{figure}` at character {position} can only be asked to stay {direction}")]
    Direction { figure: String, position: usize, direction: &'static str },
    #[error("more than {OBJECTIVES_MAX} objectives")]
    TooMany,
}

pub(super) fn slo(text: &str) -> Result<Slo, SloError> {
    let mut objectives = Vec::new();
    let mut position = 1;
    for part in text.split(',') {
        if objectives.len() == OBJECTIVES_MAX {
            return Err(SloError::TooMany);
        }
        let leading = part.chars().take_while(|character| character.is_whitespace()).count();
        objectives.push(objective(part.trim(), position + leading)?);
        position += part.chars().count() + 1;
    }
    Ok(Slo { objectives })
}

fn objective(text: &str, position: usize) -> Result<Objective, SloError> {
    if text.is_empty() {
        return Err(SloError::Missing { position });
    }
    let at = text.find(['<', '>']).ok_or_else(|| SloError::Relation { text: text.to_owned(), position })?;
    let (name, rest) = text.split_at(at);
    let figure = figure(name.trim_end(), position)?;
    let (relation, bound) = relation(rest);
    let direction = match figure {
        Figure::Rate | Figure::Goodput => (matches!(relation, Relation::Above | Relation::AtLeast), "above a bound: use > or >="),
        _ => (matches!(relation, Relation::Below | Relation::AtMost), "below a bound: use < or <="),
    };
    if !direction.0 {
        return Err(SloError::Direction { figure: figure.to_string(), position, direction: direction.1 });
    }
    let position = position + text.chars().count() - bound.trim_start().chars().count();
    let bound = self::bound(figure, bound.trim(), position)?;
    Ok(Objective { figure, relation, bound })
}

fn figure(name: &str, position: usize) -> Result<Figure, SloError> {
    let unknown = || SloError::Figure { text: name.to_owned(), position };
    match name {
        "mean" => Ok(Figure::Mean),
        "max" => Ok(Figure::Max),
        "errors" => Ok(Figure::Errors),
        "rate" => Ok(Figure::Rate),
        "goodput" => Ok(Figure::Goodput),
        _ => {
            let percent = name.strip_prefix('p').and_then(decimal).filter(|percent| (50.0..=99.99).contains(percent));
            percent.map(|percent| Figure::Quantile(percent / 100.0)).ok_or_else(unknown)
        }
    }
}

fn relation(rest: &str) -> (Relation, &str) {
    for (sign, relation) in [("<=", Relation::AtMost), (">=", Relation::AtLeast), ("<", Relation::Below), (">", Relation::Above)] {
        if let Some(bound) = rest.strip_prefix(sign) {
            return (relation, bound);
        }
    }
    unreachable!("the text was cut at a comparison")
}

fn bound(figure: Figure, text: &str, position: usize) -> Result<f64, SloError> {
    let (value, expected) = match figure {
        Figure::Quantile(_) | Figure::Mean | Figure::Max => (seconds(text), "a time: write 200ms, 1.5s or 900us"),
        Figure::Errors => (share(text), "a share: write 1% or 0.1%, from 0% to 100%"),
        Figure::Rate | Figure::Goodput => (per_second(text), "a number per second: write 500 or 500/s"),
    };
    value.ok_or_else(|| SloError::Bound { text: text.to_owned(), position, expected })
}

fn seconds(text: &str) -> Option<f64> {
    let units = [("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    let (number, factor) = units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))?;
    decimal(number.trim_end()).map(|number| number * factor).filter(|seconds| (1e-6..=3600.0).contains(seconds))
}

fn share(text: &str) -> Option<f64> {
    decimal(text.strip_suffix('%')?.trim_end()).map(|percent| percent / 100.0).filter(|share| (0.0..=1.0).contains(share))
}

fn per_second(text: &str) -> Option<f64> {
    decimal(text.strip_suffix("/s").unwrap_or(text).trim_end())
}

/// Digits with at most one point: no signs, exponents, `inf` or `NaN`, which the standard parser takes.
fn decimal(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && text.starts_with(|first: char| first.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}
