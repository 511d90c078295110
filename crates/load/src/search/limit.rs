//! What a search came to: the limit, what happens beyond it, and what seems to be in the way.

use serde::{Deserialize, Serialize};

use super::Found;
use super::bottleneck::Bottleneck;
use super::knee::Point;

/// How far beyond its limit a server is taken.
pub const MULTIPLES: [f64; 4] = [1.5, 2.0, 3.0, 10.0];

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Limit {
    pub found: Found,
    pub knee: Option<Point>,
    pub beyond: Vec<Beyond>,
    pub bottleneck: Bottleneck,
    /// Median latency of single requests with nothing else going on, in seconds.
    pub calm_latency: f64,
    /// Steps after which the server was not back at its calm latency in time, so that the next one began with a backlog.
    pub unrecovered: usize,
    pub steps: usize,
    /// The target was itself an edge of ours.
    #[serde(default)]
    pub is_edge: bool,
    /// A proposed `plimsoll.toml`.
    pub proposal: String,
}

/// What became of the server beyond its limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Beyond {
    /// Of the limit.
    pub multiple: f64,
    pub rate: f64,
    pub goodput: f64,
    /// Of good answers, in seconds.
    pub p99: Option<f64>,
}

impl Limit {
    /// The rate that the server is known to hold.
    pub fn rate(&self) -> Option<f64> {
        self.found.rate()
    }
}

impl Found {
    /// The rate that was found to hold, if any was.
    pub fn rate(&self) -> Option<f64> {
        match self {
            Self::Limit { rate, .. } | Self::AtLeast { rate } => Some(*rate),
            Self::Unstable { range } => Some(range.low).filter(|low| *low > 0.0),
            Self::Nothing { .. } => None,
        }
    }
}
