//! What was measured, for people and for programs: the document that `--json` writes and `compare` reads, and everything drawn from it.

pub mod format;
mod outcome;
pub mod page;
pub mod picture;
pub mod plot;
mod plots;
#[cfg(test)]
pub(crate) mod samples;
pub mod summary;

use serde::{Deserialize, Serialize};

use outcome::Outcome;

use crate::figures::Figures;
use crate::record::Recording;
use crate::search::limit::Limit;
use crate::slo::{Slo, Verdict};

/// Changes when an older program could misread the document.
pub const FORMAT: u32 = 1;
/// Rates this near to each other are one rate measured twice.
const SAME_RATE: f64 = 0.005;

/// Everything a command measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    pub format: u32,
    /// Name and version of the program.
    pub made_by: String,
    pub slo: Option<Slo>,
    /// One, or with `--with-and-without` the bare server and then the edge in front of it.
    pub lines: Vec<Line>,
    pub limit: Option<Limit>,
}

/// One way to the server, under one load after the other.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Line {
    pub name: String,
    pub recordings: Vec<Recording>,
}

/// Why a file is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("it is not a report of plimsoll load --json")]
    Malformed(#[from] serde_json::Error),
    #[error("it has format {0}, and this version of plimsoll reads {FORMAT}")]
    Format(u32),
    #[error("it holds no measurement")]
    Empty,
}

impl Report {
    pub fn new(made_by: &str, slo: Option<Slo>, lines: Vec<Line>) -> Self {
        Self { format: FORMAT, made_by: made_by.to_owned(), slo, lines, limit: None }
    }

    pub fn from_json(text: &str) -> Result<Self, ReadError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let Head { format } = serde_json::from_str(text)?;
        if format != FORMAT {
            return Err(ReadError::Format(format));
        }
        let report: Self = serde_json::from_str(text)?;
        let is_empty = report.lines.iter().all(|line| line.recordings.is_empty());
        if is_empty { Err(ReadError::Empty) } else { Ok(report) }
    }

    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("a report is made of numbers and texts")
    }

    /// What was asked, as the first recording has it.
    pub fn target(&self) -> &str {
        self.recordings().next().map_or("", |recording| &recording.target)
    }

    pub fn recordings(&self) -> impl Iterator<Item = &Recording> {
        self.lines.iter().flat_map(|line| &line.recordings)
    }

    /// The rate that was found to hold, if it was looked for.
    pub fn limit_rate(&self) -> Option<f64> {
        self.limit.as_ref().and_then(Limit::rate)
    }

    /// Whether the promise was kept: in every stage of a plain run, or by both lines at every rate up to the bare server's limit. None where
    /// nothing was promised, or the promise only steered a search.
    pub fn verdicts(&self) -> Option<Vec<Judged>> {
        let slo = self.slo.as_ref().filter(|_| self.limit.is_none() || self.lines.len() > 1)?;
        let rate_max = self.limit_rate().map_or(f64::INFINITY, |rate| rate * (1.0 + SAME_RATE));
        let judged = |(index, line): (usize, &Line)| -> Vec<Judged> {
            let points = line.points().into_iter().filter(|point| point.figures.offered <= rate_max);
            let name = (self.lines.len() > 1).then(|| line.name.clone());
            let judged = |point: Point| Judged {
                verdict: slo.judge(&point.figures),
                line: name.clone(),
                decides: index + 1 == self.lines.len(),
                point,
            };
            points.map(judged).collect()
        };
        Some(self.lines.iter().enumerate().flat_map(judged).collect())
    }

    pub fn is_slo_met(&self) -> bool {
        self.verdicts().is_none_or(|verdicts| verdicts.iter().all(|judged| !judged.decides || judged.verdict.is_met()))
    }

    /// Whether the generator kept its schedule throughout.
    pub fn is_trustworthy(&self) -> bool {
        !self.recordings().any(|recording| recording.generator.saturated)
    }
}

/// What became of the promise at one load.
#[derive(Clone, Debug)]
pub struct Judged {
    /// Where there are several.
    pub line: Option<String>,
    pub point: Point,
    pub verdict: Verdict,
    /// Whether the result depends on it. With the edge in front it is the edge that is held to the promise: the bare server beside it tells
    /// what it was up against.
    pub decides: bool,
}

/// What was measured at one rate, however often.
#[derive(Clone, Debug)]
pub struct Point {
    pub label: String,
    pub figures: Figures,
}

impl Line {
    pub fn new(name: &str, recordings: Vec<Recording>) -> Self {
        Self { name: name.to_owned(), recordings }
    }

    /// In case that not a single request was answered well: what most of them met, and the likely reason.
    pub fn failure(&self) -> Option<String> {
        Outcome::of(self).failure()
    }

    /// Stages of a run of several stages in their order; steps of a search merged by rate and sorted.
    pub fn points(&self) -> Vec<Point> {
        if let [recording] = &self.recordings[..] {
            return recording.stages.iter().map(|stage| Point { label: label(stage), figures: Figures::of_stage(stage) }).collect();
        }
        self.by_rate()
    }

    /// Everything merged by rate, in ascending order: for plots against rate.
    pub fn by_rate(&self) -> Vec<Point> {
        let stages = self.recordings.iter().flat_map(|recording| &recording.stages);
        let mut all: Vec<Figures> = stages.map(Figures::of_stage).collect();
        all.sort_by(|one, other| one.offered.total_cmp(&other.offered));
        let mut merged: Vec<Figures> = Vec::new();
        for figures in all {
            match merged.last_mut() {
                Some(last) if figures.offered <= last.offered * (1.0 + SAME_RATE) => last.merge(&figures),
                _ => merged.push(figures),
            }
        }
        merged.into_iter().map(|figures| Point { label: format!("{}/s", format::rate(figures.offered)), figures }).collect()
    }
}

/// What a stage is called: its rate.
pub(crate) fn label(record: &crate::record::StageRecord) -> String {
    let Some(stage) = &record.stage else { return "closed loop".to_owned() };
    if (stage.from_rate - stage.to_rate).abs() < 1e-9 {
        format!("{}/s", format::rate(stage.from_rate))
    } else {
        format!("{} to {}/s", format::rate(stage.from_rate), format::rate(stage.to_rate))
    }
}

#[cfg(test)]
mod tests;
