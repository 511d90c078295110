//! From the command line to a plan.

use std::time::Duration;

use plimsoll_load::plan::{Bounds, Stage};
use plimsoll_load::scenario::Request;
use plimsoll_load::{Pace, Plan, Protocol, Scenario, Target, Trust};

use super::failure;
use crate::cli::MeasureArgs;
use crate::report::Failure;

const RATE: f64 = 50.0;
const DURATION: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_secs(10);
/// One rate of a search.
const SEARCH_STEP: Duration = Duration::from_secs(5);
/// One rate of a comparison with the edge: long enough that what a queue swallows at first does not count for much.
const BOTH_STEP: Duration = Duration::from_secs(10);
/// Beyond its limit a server is left by people who have waited this long.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(1);

/// `allowed` tells the hosts that the user listed as theirs; it is asked only where that matters.
pub(super) fn of(args: &MeasureArgs, allowed: impl FnOnce() -> Result<Vec<String>, Failure>) -> Result<Plan, Failure> {
    let url = args.url.as_deref().unwrap_or_default();
    let target: Target = url.parse().map_err(failure)?;
    if !args.i_own_this_target && !target.is_local() && !target.is_allowed(&allowed()?) {
        let hint = "if it is yours, or its owner agreed, say so with --i-own-this-target, or list its host in load.targets";
        return Err(Failure::asked(format!("{target} is not on this machine: load on what is not yours is an attack")).hint(hint));
    }
    let mut plan = Plan::new(target, pace(args)?);
    plan.scenario = scenario(args, &plan.target)?;
    plan.arrivals = args.arrivals.into();
    let is_search = args.find_limit || args.with_and_without;
    let timeout = if is_search { SEARCH_TIMEOUT } else { plan.timeout };
    plan.timeout = args.timeout.unwrap_or(timeout);
    plan.protocol = if args.http2 { Protocol::Http2 } else { Protocol::Auto };
    plan.trust = match &args.cacert {
        Some(file) => Trust::Authorities(file.clone()),
        None if args.insecure => Trust::Anyone,
        None => Trust::System,
    };
    plan.seed = args.seed;
    let defaults = Bounds::default();
    plan.bounds =
        Bounds { rate_max: args.max_rate.unwrap_or(defaults.rate_max), duration_max: args.max_duration.unwrap_or(defaults.duration_max) };
    plan.check().map_err(failure)?;
    Ok(plan)
}

/// How long one rate of a search is held. A search that only prepares a comparison need not be as long as that.
pub(super) fn search_step(args: &MeasureArgs) -> Duration {
    let step = args.duration.unwrap_or(SEARCH_STEP);
    if args.with_and_without { step.min(SEARCH_STEP) } else { step }
}

/// How long one rate of a comparison with the edge is held.
pub(super) fn both_step(args: &MeasureArgs) -> Duration {
    args.duration.unwrap_or(BOTH_STEP)
}

fn pace(args: &MeasureArgs) -> Result<Pace, Failure> {
    let lasts = args.duration.unwrap_or(DURATION);
    if let Some(connections) = args.connections {
        return Ok(Pace::Closed { connections, lasts });
    }
    if !args.stages.is_empty() {
        if args.duration.is_some() {
            return Err(Failure::asked("--stages have durations of their own").hint("leave out --duration"));
        }
        return Ok(Pace::Open(args.stages.clone()));
    }
    if !args.steps.is_empty() {
        let lasts = args.duration.unwrap_or(STEP);
        return Ok(Pace::Open(args.steps.iter().map(|rate| Stage::constant(*rate, lasts)).collect()));
    }
    if let Some((from_rate, to_rate)) = args.ramp {
        return Ok(Pace::Open(vec![Stage { from_rate, to_rate, lasts }]));
    }
    let rate = args.rate.unwrap_or_else(|| RATE.min(args.max_rate.unwrap_or(RATE)));
    let rates = args.spike.map_or_else(|| vec![rate], |spike| vec![rate, spike, rate]);
    let share = lasts / rates.len() as u32;
    Ok(Pace::Open(rates.into_iter().map(|rate| Stage::constant(rate, share)).collect()))
}

fn scenario(args: &MeasureArgs, target: &Target) -> Result<Scenario, Failure> {
    if let Some(file) = &args.scenario {
        return Scenario::read(file).map_err(failure);
    }
    let body = match (&args.body, &args.body_file) {
        (Some(text), _) => Some(text.clone().into_bytes()),
        (None, Some(file)) => Some(Request::parse_body(&format!("@{}", file.display())).map_err(failure)?),
        (None, None) => None,
    };
    let method = args.method.as_deref().unwrap_or(if body.is_some() { "POST" } else { "GET" });
    let mut requests = if args.request.is_empty() {
        vec![Request { body: body.unwrap_or_default(), ..Request::new(method, &target.path) }]
    } else {
        args.request.iter().map(|text| request(text)).collect::<Result<_, _>>()?
    };
    let headers = args.header.iter().map(|text| Request::parse_header(text)).collect::<Result<Vec<_>, _>>().map_err(failure)?;
    for request in &mut requests {
        request.headers.clone_from(&headers);
    }
    Ok(Scenario { requests, ..Scenario::get(&target.path) })
}

/// `[WEIGHT] METHOD PATH`.
fn request(text: &str) -> Result<Request, Failure> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (weight, method, path) = match words[..] {
        [method, path] => (Some(1.0), method, path),
        [weight, method, path] => (weight.parse().ok(), method, path),
        _ => (None, "", ""),
    };
    let is_understood = path.starts_with('/') && method.bytes().all(|byte| byte.is_ascii_alphabetic());
    let wrong = || {
        Failure::asked(format!("the request `{text}` cannot be read")).hint("write --request \"GET /feed\" or --request \"3 GET /feed\"")
    };
    let weight = weight.filter(|_| is_understood).ok_or_else(wrong)?;
    Ok(Request { weight, ..Request::new(method, path) })
}
