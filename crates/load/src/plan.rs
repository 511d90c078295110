//! What is to be asked of whom, when, and for how long.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::scenario::Scenario;
use crate::target::{Scheme, Target};

/// What a plan may ask for unless its bounds are raised: enough for any one server, and no accident that goes on all night.
pub const RATE_MAX: f64 = 100_000.0;
pub const DURATION_MAX: Duration = Duration::from_hours(1);
pub const CONNECTIONS_MAX: usize = 10_000;
/// Requests that wait for a connection inside the generator.
pub const QUEUE_MAX: usize = 100_000;
/// As many as nearly every server allows.
pub const STREAMS_MAX: usize = 100;
/// The client's patience, when nothing else is said.
pub const TIMEOUT: Duration = Duration::from_secs(10);
/// Stages beyond this are a mistake in a script.
const STAGES_MAX: usize = 10_000;

#[derive(Clone, Debug)]
pub struct Plan {
    pub target: Target,
    pub scenario: Scenario,
    pub pace: Pace,
    pub arrivals: Arrivals,
    /// How long a client waits, from the moment its request was due. Then the request is cancelled and its connection closed.
    pub timeout: Duration,
    /// Connections open at a time, in open pace; requests that are due beyond wait inside the generator.
    pub connections_max: usize,
    /// Requests that may wait so; further ones count as [`ErrorKind::Overflow`](crate::ErrorKind::Overflow).
    pub queue_max: usize,
    pub protocol: Protocol,
    /// Requests at a time on each HTTP/2 connection. Connections are as many as that takes; the bounds above count requests.
    pub streams_max: usize,
    pub trust: Trust,
    /// The same seed gives the same arrivals, choices and template values.
    pub seed: u64,
    /// Threads of the generator; as many as the pace needs and the machine has when `None`.
    pub threads: Option<usize>,
    pub bounds: Bounds,
}

/// What decides when requests are sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pace {
    /// By a schedule, whatever the server does.
    Open(Vec<Stage>),
    /// The next request of a connection follows the answer to its last: the server sets the pace, and its stalls hide most of themselves.
    Closed {
        connections: usize,
        #[serde(with = "seconds")]
        lasts: Duration,
    },
}

/// A stretch of time with a rate that stays, or changes evenly. Steps, ramps, spikes and soaks are lists of these.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// Requests per second.
    pub from_rate: f64,
    pub to_rate: f64,
    #[serde(with = "seconds")]
    pub lasts: Duration,
}

/// How requests are spread within a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arrivals {
    /// As from many people who do not know of each other.
    #[default]
    Poisson,
    /// Evenly, as from a clock.
    Constant,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// Over TLS what the server prefers, else HTTP/1.1.
    #[default]
    Auto,
    Http1,
    /// Without TLS by prior knowledge.
    Http2,
}

/// Whose certificates are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// The system's authorities.
    #[default]
    System,
    /// Those in this PEM file, beside the system's.
    Authorities(PathBuf),
    /// Everybody's: for a test of one's own server only.
    Anyone,
}

/// The most that a plan may ask for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// An open pace beyond it is refused, a closed one is held to it.
    pub rate_max: f64,
    pub duration_max: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { rate_max: RATE_MAX, duration_max: DURATION_MAX }
    }
}

impl Plan {
    /// GET requests for the target's own path at this pace; everything else as by default.
    pub fn new(target: Target, pace: Pace) -> Self {
        Self {
            scenario: Scenario::get(&target.path),
            target,
            pace,
            arrivals: Arrivals::default(),
            timeout: TIMEOUT,
            connections_max: CONNECTIONS_MAX,
            queue_max: QUEUE_MAX,
            protocol: Protocol::default(),
            streams_max: STREAMS_MAX,
            trust: Trust::default(),
            seed: 1,
            threads: None,
            bounds: Bounds::default(),
        }
    }

    /// Says what cannot be carried out, and what would go beyond the bounds.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |reason: String| Err(Error::BadPlan(reason));
        let Bounds { rate_max, duration_max } = self.bounds;
        match &self.pace {
            Pace::Open(stages) if stages.is_empty() => return refuse("it has no stage".to_owned()),
            Pace::Open(stages) if stages.len() > STAGES_MAX => return refuse(format!("more than {STAGES_MAX} stages")),
            Pace::Open(stages) => {
                let is_rate = |rate: f64| rate.is_finite() && rate >= 0.0;
                if stages.iter().any(|stage| !is_rate(stage.from_rate) || !is_rate(stage.to_rate)) {
                    return refuse("a rate must be a number of requests per second, zero or more".to_owned());
                }
                if stages.iter().all(|stage| stage.requests() < 1e-9) {
                    return refuse("no request would ever be sent: the rate is zero throughout".to_owned());
                }
            }
            Pace::Closed { connections: 0, .. } => return refuse("a closed pace needs at least one connection".to_owned()),
            Pace::Closed { connections, .. } if *connections > self.connections_max => {
                return refuse(format!("{connections} connections are more than the {} allowed", self.connections_max));
            }
            Pace::Closed { .. } => {}
        }
        let lasts = self.pace.lasts();
        if lasts.is_zero() || lasts > duration_max {
            return refuse(format!("it must last more than nothing and at most {duration_max:?}, not {lasts:?}"));
        }
        if self.pace.peak_rate().is_some_and(|rate| rate > rate_max) {
            return refuse(format!("its rate goes beyond {rate_max} requests per second"));
        }
        if self.timeout.is_zero() || self.connections_max == 0 || self.streams_max == 0 || self.threads == Some(0) {
            return refuse("timeout, connections, streams and threads must be above zero".to_owned());
        }
        if self.target.scheme == Scheme::Http && self.trust != Trust::System {
            return refuse("whom to trust matters only to https; the target is plain http".to_owned());
        }
        self.scenario.check()
    }
}

impl Pace {
    pub fn constant(rate: f64, lasts: Duration) -> Self {
        Self::Open(vec![Stage::constant(rate, lasts)])
    }

    pub fn lasts(&self) -> Duration {
        match self {
            Self::Open(stages) => stages.iter().fold(Duration::ZERO, |sum, stage| sum.saturating_add(stage.lasts)),
            Self::Closed { lasts, .. } => *lasts,
        }
    }

    /// The highest rate of an open pace.
    pub fn peak_rate(&self) -> Option<f64> {
        match self {
            Self::Open(stages) => stages.iter().map(|stage| stage.from_rate.max(stage.to_rate)).reduce(f64::max),
            Self::Closed { .. } => None,
        }
    }

    pub fn is_open(&self) -> bool {
        matches!(self, Self::Open(_))
    }
}

impl Stage {
    pub fn constant(rate: f64, lasts: Duration) -> Self {
        Self { from_rate: rate, to_rate: rate, lasts }
    }

    /// How many requests fall into it on average.
    pub fn requests(&self) -> f64 {
        f64::midpoint(self.from_rate, self.to_rate) * self.lasts.as_secs_f64()
    }
}

/// Durations as a number of seconds: readable, and understood by every tool.
pub(crate) mod seconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(duration.as_secs_f64())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        let seconds = f64::deserialize(deserializer)?;
        Duration::try_from_secs_f64(seconds).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(pace: Pace) -> Plan {
        Plan::new(":8080/".parse().unwrap(), pace)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn refuses_what_cannot_be_carried_out_or_goes_too_far() {
        let stage = |from_rate, to_rate, lasts| Pace::Open(vec![Stage { from_rate, to_rate, lasts }]);
        for pace in [
            Pace::Open(Vec::new()),
            stage(0.0, 0.0, SECOND),
            stage(-1.0, 1.0, SECOND),
            stage(f64::NAN, 1.0, SECOND),
            stage(1.0, f64::INFINITY, SECOND),
            stage(1.0, RATE_MAX + 1.0, SECOND),
            stage(1.0, 1.0, Duration::ZERO),
            stage(1.0, 1.0, DURATION_MAX + SECOND),
            Pace::Closed { connections: 0, lasts: SECOND },
            Pace::Closed { connections: CONNECTIONS_MAX + 1, lasts: SECOND },
            Pace::Closed { connections: 1, lasts: Duration::ZERO },
        ] {
            plan(pace).check().unwrap_err();
        }
        plan(stage(0.0, RATE_MAX, DURATION_MAX)).check().unwrap();
        let mut raised = plan(stage(1.0, RATE_MAX * 2.0, SECOND));
        raised.bounds.rate_max = RATE_MAX * 2.0;
        raised.check().unwrap();
        let trusting = Plan { trust: Trust::Anyone, ..plan(Pace::constant(1.0, SECOND)) };
        trusting.check().unwrap_err();
    }

    #[test]
    fn stages_add_up() {
        let pace = Pace::Open(vec![Stage::constant(10.0, SECOND), Stage { from_rate: 10.0, to_rate: 30.0, lasts: SECOND * 2 }]);
        assert_eq!((pace.lasts(), pace.peak_rate()), (SECOND * 3, Some(30.0)));
        let written = serde_json::to_string(&pace).unwrap();
        assert_eq!(serde_json::from_str::<Pace>(&written).unwrap(), pace);
    }
}
