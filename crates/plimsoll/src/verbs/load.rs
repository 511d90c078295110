//! `plimsoll load`: asks a server on a schedule, tells what came back, and finds out how much it can take.
//!
//! Only the result goes to standard output; how it goes, to standard error.

mod both;
mod compare;
mod edge;
mod live;
mod plan;
mod write;

use anyhow::{Context, anyhow};
use plimsoll_load::report::{Line, Report};
use plimsoll_load::search::Found;
use plimsoll_load::search::hunt::Hunt;
use plimsoll_load::search::stepper::Watcher;
use plimsoll_load::{Error, Plan, Slo, run as run_plan};
use tokio_util::sync::CancellationToken;

use crate::cli::{LoadArgs, LoadVerb, MeasureArgs};
use crate::config::{Environment, Flags};
use crate::open_files;
use crate::report::Failure;
use crate::signals::Signals;
use live::Live;

const MADE_BY: &str = concat!("plimsoll ", env!("CARGO_PKG_VERSION"));

pub fn run(args: &LoadArgs, environment: &Environment) -> Result<(), Failure> {
    match &args.verb {
        Some(LoadVerb::Compare(args)) => compare::run(args),
        None => measure(&args.measure, environment),
    }
}

fn measure(args: &MeasureArgs, environment: &Environment) -> Result<(), Failure> {
    let plan = plan::of(args, || Ok(super::load(&Flags::default(), environment)?.settings.load.targets))?;
    // Better now than after minutes of load.
    write::check(args)?;
    open_files::raise();
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let report = runtime.block_on(async {
        let mut signals = Signals::listen().context("cannot listen for signals")?;
        let (live, stop) = (Live::new(), CancellationToken::new());
        let measured = live.drive(measured(args, plan, environment, &live, &stop));
        tokio::pin!(measured);
        tokio::select! {
            report = &mut measured => return report,
            () = signals.stop() => stop.cancel(),
        }
        live.found("stopping: what is under way is waited for; once more to stop at once");
        tokio::select! {
            report = measured => report,
            () = signals.stop() => Err(stopped()),
        }
    })?;
    write::all(args, &report)?;
    judge(&report)
}

/// The report of whatever was asked for.
async fn measured(
    args: &MeasureArgs,
    plan: Plan,
    environment: &Environment,
    live: &Live,
    stop: &CancellationToken,
) -> Result<Report, Failure> {
    if args.with_and_without {
        return both::run(args, plan, environment, live, stop).await;
    }
    if !args.find_limit {
        let recording = run_plan(plan, live.begins("load"), stop.clone()).await.map_err(failure)?;
        return Ok(Report::new(MADE_BY, args.slo.clone(), vec![Line::new("direct", vec![recording])]));
    }
    let slo = args.slo.clone().unwrap_or_default();
    let hunt = Hunt { step: plan::search_step(args), ..Hunt::new(plan, slo.clone()) };
    live.found(&format!("looking for the highest rate that keeps {slo}: {}", hunt.outlook()));
    let hunted = hunt.run(live, stop).await.map_err(failure)?.ok_or_else(stopped)?;
    let report = Report::new(MADE_BY, Some(slo), vec![Line::new("direct", hunted.recordings)]);
    Ok(Report { limit: Some(hunted.limit), ..report })
}

/// Whether the result is one to fail on.
fn judge(report: &Report) -> Result<(), Failure> {
    let slo = report.slo.as_ref().map(Slo::to_string).unwrap_or_default();
    if !report.is_slo_met() {
        let place = if report.lines.len() > 1 { " with plimsoll in front" } else { "" };
        return Err(Failure::missed(format!("the promise was missed{place}: {slo}")));
    }
    match report.limit.as_ref().map(|limit| limit.found) {
        Some(Found::Nothing { .. }) => Err(Failure::missed(format!("no rate keeps the promise: {slo}"))),
        _ => Ok(()),
    }
}

fn stopped() -> Failure {
    Failure::failed(anyhow!("stopped before there was a result"))
}

/// Whose turn it is when the engine gives up.
fn failure(error: Error) -> Failure {
    let hint = match &error {
        Error::BadTarget { .. } => "write it like http://localhost:8080/path, or unix:/run/app.sock:/path".to_owned(),
        Error::BadPlan(_) => "`plimsoll load --help` shows what can be asked; --max-rate and --max-duration raise the caps".to_owned(),
        Error::BadScenario(_) | Error::File { .. } => "docs/load.md shows a scenario".to_owned(),
        Error::Unreachable { target, .. } => format!("is the server running? try: curl -i {target}"),
        Error::UnknownName { .. } => "check how it is spelled; a server on this machine is `localhost`".to_owned(),
        Error::NotTls { target, .. } => {
            format!("does the server speak plain http there? try: {}", target.replacen("https://", "http://", 1))
        }
        Error::Unserved { .. } => {
            "check the path and what else it wants (--method, --header, --body, logins in --scenario); --timeout if it is slow".to_owned()
        }
        Error::Tls { .. } => "name its authority with --cacert, or believe any certificate with --insecure".to_owned(),
        Error::Login { .. } => "try the login by hand first".to_owned(),
        Error::Start(_) | Error::Lost => return Failure::failed(error),
    };
    match error {
        Error::BadTarget { .. } | Error::BadPlan(_) | Error::BadScenario(_) | Error::File { .. } => {
            Failure::asked(format!("{:#}", anyhow::Error::from(error))).hint(hint)
        }
        _ => Failure::failed(error).hint(hint),
    }
}
