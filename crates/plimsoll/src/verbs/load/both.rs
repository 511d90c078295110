//! `--with-and-without`: the same load straight at the app and through the edge.

use std::time::Duration;

use plimsoll_load::report::{Line, Report, format};
use plimsoll_load::search::hunt::Hunt;
use plimsoll_load::search::limit::{Beyond, Limit};
use plimsoll_load::search::stepper::{Stepper, Watcher};
use plimsoll_load::slo::Measured;
use plimsoll_load::{Figures, Plan, Recording, is_edge};
use tokio_util::sync::CancellationToken;

use super::edge::Edge;
use super::live::Live;
use super::{MADE_BY, failure, plan, stopped};
use crate::cli::MeasureArgs;
use crate::config::Environment;
use crate::report::Failure;

/// Of the limit.
const MULTIPLES: [f64; 7] = [0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 10.0];

pub(super) async fn run(
    args: &MeasureArgs,
    plan: Plan,
    environment: &Environment,
    live: &Live,
    stop: &CancellationToken,
) -> Result<Report, Failure> {
    if is_edge(&plan).await {
        let asked = Failure::asked(format!("{} is already a Plimsoll edge: there is no load without it to be measured", plan.target));
        return Err(asked.hint("name the app's own port, behind the edge"));
    }
    let mut limit = None;
    let mut rates = args.steps.clone();
    if rates.is_empty() {
        let slo = args.slo.clone().unwrap_or_default();
        let hunt = Hunt { step: plan::search_step(args), beyond: Vec::new(), ..Hunt::new(plan.clone(), slo.clone()) };
        live.found(&format!("looking for the highest rate at which the app alone keeps {slo}: {}", hunt.outlook()));
        let hunted = hunt.run(live, stop).await.map_err(failure)?.ok_or_else(stopped)?;
        let rate = hunted.limit.rate().ok_or_else(|| Failure::missed(format!("the app alone keeps {slo} at no rate")))?;
        rates = MULTIPLES.iter().map(|multiple| multiple * rate).filter(|rate| *rate <= plan.bounds.rate_max).collect();
        limit = Some(hunted.limit);
    }
    live.found(&outlook(&rates, plan::both_step(args)));
    live.found("the app alone");
    let alone = measure(&plan, &rates, args, live, stop).await?;
    live.found("with plimsoll in front");
    let edge = Edge::start(&plan.target, environment).await?;
    let through = Plan { target: edge.target.clone(), ..plan };
    let with = tokio::select! {
        with = measure(&through, &rates, args, live, stop) => with,
        // The measurement ends soon by itself, but the edge should not outlive it in any case.
        () = stop.cancelled() => Err(stopped()),
    };
    edge.stop().await;
    if let Some(limit) = &mut limit {
        limit.beyond = beyond(limit, &alone);
    }
    let lines = vec![Line::new("alone", alone), Line::new("with plimsoll", with?)];
    Ok(Report { limit, ..Report::new(MADE_BY, args.slo.clone(), lines) })
}

/// What is to come, and how much of it.
fn outlook(rates: &[f64], step: Duration) -> String {
    let minutes = (step * 2 * rates.len() as u32).as_secs().div_ceil(60);
    let most = format::rate(rates.iter().copied().fold(0.0, f64::max));
    format!("now {} rates, up to {most}/s, without and with the edge: {minutes} min and what the app needs to recover", rates.len())
}

/// One rate after the other, with time to recover in between.
async fn measure(plan: &Plan, rates: &[f64], args: &MeasureArgs, live: &Live, stop: &CancellationToken) -> Result<Vec<Recording>, Failure> {
    let mut stepper = Stepper::start(plan, plan::both_step(args), live, stop).await.map_err(failure)?;
    let mut recordings = Vec::with_capacity(rates.len());
    for rate in rates {
        let title = format!("{}/s", format::rate(*rate));
        let recording = stepper.measure(*rate, &title).await.map_err(failure)?.recording;
        if stop.is_cancelled() {
            return Err(stopped());
        }
        let figures = Figures::of(&recording);
        let (goodput, p99) = (format::rate(figures.goodput()), format::latency_or_dash(figures.latency(0.99)));
        live.found(&format!("{title:>11}  {goodput:>9}/s good  p99 {p99:>8}"));
        recordings.push(recording);
    }
    // The next one is another way to the same server.
    stepper.recover().await.map_err(failure)?;
    Ok(recordings)
}

fn beyond(limit: &Limit, alone: &[Recording]) -> Vec<Beyond> {
    let Some(rate) = limit.rate() else { return Vec::new() };
    let figures = alone.iter().map(Figures::of).filter(|figures| figures.offered > rate * 1.1);
    let beyond = |figures: Figures| Beyond {
        multiple: (figures.offered / rate * 100.0).round() / 100.0,
        rate: figures.offered,
        goodput: figures.goodput(),
        p99: figures.latency(0.99),
    };
    figures.map(beyond).collect()
}
