//! One rate after the other on a server that gets time to recover in between.
//!
//! What a server has not finished when a step ends would count against the next one. So after a step that was too much, single requests
//! are sent until they are answered as they were at the start, when nothing else was going on.

use std::time::Duration;

use http::StatusCode;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::sustained::Slot;
use crate::error::Error;
use crate::figures::Figures;
use crate::plan::{Arrivals, Pace, Plan, Stage};
use crate::record::{Recording, StageRecord, is_saturated};
use crate::run::{Progress, run};
use crate::slo::Measured;

/// The calm load: few enough requests that no server queues them.
const CALM_RATE: f64 = 5.0;
const CALM_LASTS: Duration = Duration::from_millis(800);
/// A server is calm again when its latency is within this of what it was, or within [`CALM_SLACK`].
const CALM_TIMES: f64 = 2.0;
const CALM_SLACK: f64 = 0.005;
/// A server that needs longer than this to recover is measured as it is, and that is said.
///
/// Long: one that works on for clients that have left needs ten seconds for each second at ten times its limit.
const RECOVERS_WITHIN: Duration = Duration::from_mins(3);
/// Requests in a slot of time from which the trend is read, and slots at most.
const PER_SLOT: f64 = 10.0;
const SLOTS_MAX: f64 = 40.0;

/// Is told how it goes, for those who wait.
pub trait Watcher: Sync {
    /// A run begins; its progress is wanted here.
    fn begins(&self, title: &str) -> watch::Sender<Progress>;
    /// A finding worth a line.
    fn found(&self, line: &str);
}

/// Measures rates by a plan whose pace it sets itself.
pub struct Stepper<'a> {
    pub plan: &'a Plan,
    /// How long each rate is held.
    pub lasts: Duration,
    pub watcher: &'a dyn Watcher,
    pub stop: &'a CancellationToken,
    /// Median latency with nothing else going on, in seconds.
    calm: f64,
    /// The share of requests that failed even then.
    calm_errors: f64,
    /// The last step may have left work behind.
    is_disturbed: bool,
    pub steps: usize,
    pub unrecovered: usize,
}

/// One rate, measured once.
pub struct Measurement {
    pub recording: Recording,
    pub slots: Vec<Slot>,
}

impl<'a> Stepper<'a> {
    /// Finds out how the server answers when it is calm. Everything that makes a target unusable shows here.
    pub async fn start(plan: &'a Plan, lasts: Duration, watcher: &'a dyn Watcher, stop: &'a CancellationToken) -> Result<Self, Error> {
        let mut stepper = Self { plan, lasts, watcher, stop, calm: 0.0, calm_errors: 0.0, is_disturbed: false, steps: 0, unrecovered: 0 };
        // The first requests open connections and warm caches.
        stepper.probe("warming up").await?;
        let recording = stepper.probe("measuring the calm").await?;
        let calm = Figures::of(&recording);
        if calm.totals.good == 0 && calm.totals.due > 0 && !stop.is_cancelled() {
            return Err(Error::Unserved { asked: calm.totals.due, reason: most_frequent_failure(&recording) });
        }
        stepper.calm = calm.latency(0.5).unwrap_or(plan.timeout.as_secs_f64());
        stepper.calm_errors = calm.error_share();
        Ok(stepper)
    }

    pub fn calm(&self) -> f64 {
        self.calm
    }

    /// Offers a rate once the server has recovered from what came before.
    pub async fn measure(&mut self, rate: f64, title: &str) -> Result<Measurement, Error> {
        self.recover().await?;
        self.steps += 1;
        let slots = (rate * self.lasts.as_secs_f64() / PER_SLOT).clamp(1.0, SLOTS_MAX) as u32;
        let stages = vec![Stage::constant(rate, self.lasts / slots); slots as usize];
        // Another for each step, so that repeated steps are independent.
        let seed = self.plan.seed.wrapping_add(self.steps as u64);
        let plan = Plan { pace: Pace::Open(stages), seed, ..self.plan.clone() };
        let mut recording = run(plan, self.watcher.begins(title), self.stop.clone()).await?;
        let slots = slots_of(&recording.stages);
        gather(&mut recording, Stage::constant(rate, self.lasts));
        let figures = Figures::of(&recording);
        let is_slow = figures.latency(0.99).is_none_or(|p99| !self.is_calm(p99));
        self.is_disturbed = is_slow || figures.error_share() > 0.0;
        Ok(Measurement { recording, slots })
    }

    /// Waits until single requests are answered as they were at the start.
    pub async fn recover(&mut self) -> Result<(), Error> {
        if !self.is_disturbed {
            return Ok(());
        }
        let started = Instant::now();
        while !self.stop.is_cancelled() {
            match self.probe("letting the server recover").await.map(|recording| Figures::of(&recording)) {
                Ok(figures)
                    if figures.error_share() <= self.calm_errors && figures.latency(0.5).is_some_and(|latency| self.is_calm(latency)) =>
                {
                    self.is_disturbed = false;
                    return Ok(());
                }
                Err(error) if started.elapsed() > RECOVERS_WITHIN => return Err(error),
                // One that takes no connection is asked again: it may be starting anew.
                Err(_) => tokio::time::sleep(CALM_LASTS).await,
                Ok(_) if started.elapsed() > RECOVERS_WITHIN => break,
                Ok(_) => {}
            }
        }
        self.unrecovered += 1;
        Ok(())
    }

    fn is_calm(&self, latency: f64) -> bool {
        latency <= (self.calm * CALM_TIMES).max(self.calm + CALM_SLACK)
    }

    async fn probe(&self, title: &str) -> Result<Recording, Error> {
        let plan = Plan { pace: Pace::constant(CALM_RATE, CALM_LASTS), arrivals: Arrivals::Constant, ..self.plan.clone() };
        run(plan, self.watcher.begins(title), self.stop.clone()).await
    }
}

/// Why requests failed, most of them: the status of the answer, or what kept it away.
fn most_frequent_failure(recording: &Recording) -> String {
    let answered = recording.statuses.iter().filter(|record| record.is_poor()).max_by_key(|record| record.count);
    match (answered, recording.examples.first()) {
        (Some(record), _) => {
            let name = StatusCode::from_u16(record.status).ok().and_then(|status| status.canonical_reason()).unwrap_or_default();
            format!("it answers {} {name}", record.status).trim_end().to_owned()
        }
        (None, Some(example)) => example.message.clone(),
        (None, None) => "nothing came back".to_owned(),
    }
}

fn slots_of(stages: &[StageRecord]) -> Vec<Slot> {
    let slot = |stage: &StageRecord| {
        let latency = stage.totals.latency().quantile(0.5)?.as_secs_f64();
        Some(Slot { at: (stage.starts + stage.lasted / 2).as_secs_f64(), latency })
    };
    stages.iter().filter_map(slot).collect()
}

/// The slots have served their purpose: one stage is what a reader expects.
fn gather(recording: &mut Recording, stage: Stage) {
    let mut whole = StageRecord {
        stage: Some(stage),
        starts: Duration::ZERO,
        lasted: recording.lasted,
        totals: recording.total.clone(),
        lateness: crate::Histogram::default(),
        generator_saturated: false,
    };
    for slot in &recording.stages {
        whole.lateness.merge(&slot.lateness);
    }
    whole.generator_saturated = is_saturated(&whole.lateness);
    recording.plan.pace = Pace::Open(vec![stage]);
    recording.stages = vec![whole];
}
