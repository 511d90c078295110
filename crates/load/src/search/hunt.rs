//! `--find-limit` from the first request to the proposal.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::bottleneck::{Bottleneck, Evidence, guess};
use super::knee::{self, knee};
use super::limit::{Beyond, Limit, MULTIPLES};
use super::stepper::{Measurement, Stepper, Watcher};
use super::sustained::is_growing_out_of;
use super::{Bounds, Found, Phase, Search, Step, proposal};
use crate::error::Error;
use crate::figures::Figures;
use crate::plan::Plan;
use crate::record::Recording;
use crate::report::{Line, format};
use crate::send::recognise::is_edge;
use crate::slo::{Measured, Slo};

/// How many steps a search usually takes, and how long a server usually takes to recover from one: for telling how long it will be.
const STEPS: (u32, u32) = (15, 30);
const RECOVERS: Duration = Duration::from_secs(3);

/// What is hunted for, and how.
pub struct Hunt {
    /// Its pace is set by the hunt.
    pub plan: Plan,
    pub slo: Slo,
    pub bounds: Bounds,
    /// How long each rate is held.
    pub step: Duration,
    /// Multiples of the limit that are measured once it is known.
    pub beyond: Vec<f64>,
}

/// What was measured on the way, and what it came to.
pub struct Hunted {
    pub recordings: Vec<Recording>,
    pub limit: Limit,
}

impl Hunt {
    pub fn new(plan: Plan, slo: Slo) -> Self {
        let bounds = Bounds { ceiling: plan.bounds.rate_max, ..Bounds::default() };
        Self { plan, slo, bounds, step: Duration::from_secs(5), beyond: MULTIPLES.to_vec() }
    }

    /// What whoever starts it should know before.
    pub fn outlook(&self) -> String {
        let minutes = |steps: u32, each: Duration| (each * steps).as_secs().div_ceil(60);
        let (from, to) = (minutes(STEPS.0, self.step), minutes(STEPS.1, self.step + RECOVERS));
        let beyond = self.beyond.iter().copied().reduce(f64::max).map_or_else(String::new, |times| {
            let most = format::rate(self.plan.bounds.rate_max);
            format!(", and sends up to {times} times the limit in the end (never more than {most}/s: --max-rate)")
        });
        format!("this takes about {from} to {to} min{beyond}")
    }

    /// Finds the limit, then goes beyond it. None if it was stopped.
    pub async fn run(&self, watcher: &dyn Watcher, stop: &CancellationToken) -> Result<Option<Hunted>, Error> {
        let mut stepper = Stepper::start(&self.plan, self.step, watcher, stop).await?;
        let is_edge = is_edge(&self.plan).await;
        let (mut recordings, mut growing) = (Vec::new(), Vec::new());
        let mut search = Search::new(self.bounds);
        let mut step = search.first();
        let found = loop {
            if stop.is_cancelled() {
                return Ok(None);
            }
            match step {
                Step::Found(found) => break found,
                Step::Measure { rate, phase } => {
                    let title = format!("{} {}/s", worded(phase), format::rate(rate));
                    let measured = stepper.measure(rate, &title).await?;
                    let held = self.holds(&measured);
                    watcher.found(&line(rate, &measured, held));
                    growing.extend(is_growing_out_of(&self.slo, &measured.slots).then_some(rate));
                    recordings.push(measured.recording);
                    step = search.next(held);
                }
            }
        };
        let mut beyond = Vec::new();
        for multiple in found.rate().iter().flat_map(|_| &self.beyond) {
            let rate = found.rate().unwrap_or_default() * multiple;
            if stop.is_cancelled() {
                return Ok(None);
            }
            if rate > self.plan.bounds.rate_max {
                continue;
            }
            let measured = stepper.measure(rate, &format!("{multiple}× the limit: {}/s", format::rate(rate))).await?;
            watcher.found(&line(rate, &measured, self.holds(&measured)));
            let figures = Figures::of(&measured.recording);
            beyond.push(Beyond { multiple: *multiple, rate, goodput: figures.goodput(), p99: figures.latency(0.99) });
            recordings.push(measured.recording);
        }
        let limit = self.sum_up((found, beyond), &recordings, &growing, &stepper);
        let limit = if is_edge { Limit { is_edge, proposal: proposal::for_edge(&self.plan), ..limit } } else { limit };
        Ok((!stop.is_cancelled()).then_some(Hunted { recordings, limit }))
    }

    /// Whether a rate keeps the promise, and could go on keeping it.
    fn holds(&self, measured: &Measurement) -> bool {
        self.slo.judge(&Figures::of(&measured.recording)).is_met() && !is_growing_out_of(&self.slo, &measured.slots)
    }

    /// `growing` are the rates at which latency grew without end.
    fn sum_up(&self, (found, beyond): (Found, Vec<Beyond>), recordings: &[Recording], growing: &[f64], stepper: &Stepper<'_>) -> Limit {
        let points = Line::new("", recordings.to_vec()).by_rate();
        let mean = |figures: &Figures| figures.totals.good_latency.mean().map(|mean| mean.as_secs_f64());
        let point = |figures: &Figures| knee::Point { rate: figures.offered, goodput: figures.goodput(), latency: mean(figures) };
        let limit = found.rate().unwrap_or_default();
        let at = points.iter().rfind(|point| point.figures.offered <= limit * 1.001).or(points.first());
        let above = points.iter().find(|point| point.figures.offered > limit * 1.2).or(points.last());
        let guessed = match (points.first(), at, above) {
            (Some(calm), Some(at), Some(above)) => {
                let step = recordings.iter().find(|recording| Figures::of(recording).offered >= above.figures.offered * 0.995);
                guess(&Evidence {
                    calm: &calm.figures,
                    at: &at.figures,
                    beyond: &above.figures,
                    is_growing: growing.iter().any(|rate| *rate <= above.figures.offered * 1.005),
                    requests: step.map_or(&[][..], |recording| &recording.requests),
                    generator_saturated: step.is_some_and(|recording| recording.generator.saturated),
                })
            }
            _ => Bottleneck::Unknown,
        };
        let in_flight = at.map_or(0.0, |at| at.figures.goodput() * mean(&at.figures).unwrap_or_default());
        Limit {
            found,
            knee: found.rate().and_then(|limit| knee(&points.iter().map(|each| point(&each.figures)).collect::<Vec<_>>(), limit)),
            beyond,
            bottleneck: guessed,
            calm_latency: stepper.calm(),
            unrecovered: stepper.unrecovered,
            steps: stepper.steps,
            is_edge: false,
            proposal: proposal::file(&self.plan, &self.slo, found.rate(), in_flight),
        }
    }
}

fn worded(phase: Phase) -> &'static str {
    match phase {
        Phase::Climb => "climbing:",
        Phase::Narrow => "narrowing:",
        Phase::Confirm => "confirming:",
    }
}

fn line(rate: f64, measured: &Measurement, held: bool) -> String {
    let figures = Figures::of(&measured.recording);
    format!(
        "{:>9}/s  {:>9}/s good  p50 {:>8}  p99 {:>8}  {:>7} errors  {}",
        format::rate(rate),
        format::rate(figures.goodput()),
        format::latency_or_dash(figures.latency(0.5)),
        format::latency_or_dash(figures.latency(0.99)),
        format::share(figures.error_share()),
        if held { "holds" } else { "missed" }
    )
}
