//! What is promised, `p99<200ms,errors<1%`, and whether a measurement keeps it.
//!
//! A promise is a list of objectives, all of which must hold. An objective that cannot be judged, because nothing was answered, is
//! missed: silence proves nothing.

mod parse;

use std::fmt::{self, Display};
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use parse::SloError;

/// What a measurement has to say for an objective to be judged.
pub trait Measured {
    /// The latency that the share `quantile` (0 to 1) of the answers stayed within; none without answers.
    fn quantile(&self, quantile: f64) -> Option<Duration>;
    fn mean(&self) -> Option<Duration>;
    fn max(&self) -> Option<Duration>;
    /// Requests without a good answer, as a share of all.
    fn error_share(&self) -> f64;
    /// Requests per second that were due.
    fn rate(&self) -> f64;
    /// Good answers per second.
    fn goodput(&self) -> f64;
}

/// All that is promised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Slo {
    pub objectives: Vec<Objective>,
}

impl Slo {
    /// What `--find-limit` holds a server to when nobody says: half a second is where people begin to notice, and one request in a
    /// hundred may fail before they complain.
    pub const DEFAULT: &'static str = "p99<500ms,errors<1%";

    /// Every objective with what was measured, in the order in which they were written.
    pub fn judge(&self, measured: &impl Measured) -> Verdict {
        Verdict { findings: self.objectives.iter().map(|objective| objective.judge(measured)).collect() }
    }
}

impl Default for Slo {
    fn default() -> Self {
        Self::DEFAULT.parse().expect("the default is well-formed")
    }
}

impl FromStr for Slo {
    type Err = SloError;

    fn from_str(text: &str) -> Result<Self, SloError> {
        parse::slo(text)
    }
}

impl TryFrom<String> for Slo {
    type Error = SloError;

    fn try_from(text: String) -> Result<Self, SloError> {
        text.parse()
    }
}

impl From<Slo> for String {
    fn from(slo: Slo) -> Self {
        slo.to_string()
    }
}

impl Display for Slo {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, objective) in self.objectives.iter().enumerate() {
            write!(formatter, "{}{objective}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

/// One bound on one figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective {
    pub figure: Figure,
    pub relation: Relation,
    /// In the figure's own unit: seconds, share of 1, or per second.
    pub bound: f64,
}

impl Objective {
    fn judge(self, measured: &impl Measured) -> Finding {
        let seconds = |duration: Option<Duration>| duration.map(|duration| duration.as_secs_f64());
        let value = match self.figure {
            Figure::Quantile(quantile) => seconds(measured.quantile(quantile)),
            Figure::Mean => seconds(measured.mean()),
            Figure::Max => seconds(measured.max()),
            Figure::Errors => Some(measured.error_share()),
            Figure::Rate => Some(measured.rate()),
            Figure::Goodput => Some(measured.goodput()),
        };
        Finding { objective: self, value, is_met: value.is_some_and(|value| self.relation.holds(value, self.bound)) }
    }
}

impl Display for Objective {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}{}", self.figure, self.relation, self.figure.shown(self.bound))
    }
}

/// What can be bounded.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Figure {
    /// 0.5 to 0.9999.
    Quantile(f64),
    Mean,
    Max,
    Errors,
    Rate,
    Goodput,
}

impl Figure {
    /// A value of this figure with its unit.
    pub fn shown(self, value: f64) -> String {
        match self {
            Self::Quantile(_) | Self::Mean | Self::Max if value < 0.001 => format!("{}us", rounded(value * 1e6)),
            Self::Quantile(_) | Self::Mean | Self::Max if value < 1.0 => format!("{}ms", rounded(value * 1e3)),
            Self::Quantile(_) | Self::Mean | Self::Max => format!("{}s", rounded(value)),
            Self::Errors => format!("{}%", rounded(value * 100.0)),
            Self::Rate | Self::Goodput => rounded(value).to_string(),
        }
    }
}

/// Four figures after the point are finer than anything that can be measured, and hide what binary fractions add.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// No measurement has more digits that mean anything.
fn three_digits(value: f64) -> f64 {
    if value <= 0.0 {
        return value;
    }
    let unit = 10_f64.powf(value.log10().floor() - 2.0);
    (value / unit).round() * unit
}

impl Display for Figure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Quantile(quantile) => write!(formatter, "p{}", rounded(quantile * 100.0)),
            Self::Mean => formatter.write_str("mean"),
            Self::Max => formatter.write_str("max"),
            Self::Errors => formatter.write_str("errors"),
            Self::Rate => formatter.write_str("rate"),
            Self::Goodput => formatter.write_str("goodput"),
        }
    }
}

/// How a value must stand to its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    Below,
    AtMost,
    Above,
    AtLeast,
}

impl Relation {
    fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Below => value < bound,
            Self::AtMost => value <= bound,
            Self::Above => value > bound,
            Self::AtLeast => value >= bound,
        }
    }
}

impl Display for Relation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Above => ">",
            Self::AtLeast => ">=",
        })
    }
}

/// What became of a promise.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    pub findings: Vec<Finding>,
}

impl Verdict {
    pub fn is_met(&self) -> bool {
        self.findings.iter().all(|finding| finding.is_met)
    }
}

/// One objective with what was measured.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    pub objective: Objective,
    /// In the figure's own unit; none when nothing was answered.
    pub value: Option<f64>,
    pub is_met: bool,
}

impl Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value| self.objective.figure.shown(three_digits(value));
        let measured = self.value.map_or_else(|| "nothing was answered".to_owned(), shown);
        write!(formatter, "{} ({measured})", self.objective)
    }
}

#[cfg(test)]
mod tests;
