//! What `plimsoll load` can be told.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use plimsoll_load::plan::Stage;
use plimsoll_load::{Arrivals, Slo};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct LoadArgs {
    #[command(subcommand)]
    pub verb: Option<LoadVerb>,
    #[command(flatten)]
    pub measure: MeasureArgs,
}

#[derive(Debug, Subcommand)]
pub enum LoadVerb {
    /// Say whether two runs differ by more than chance
    #[command(after_help = "Examples:
  plimsoll load http://localhost:8080/ --rate 200 --json before.json
  plimsoll load compare before.json after.json --fail-if-worse

Seconds are compared, so each stage needs at least five of them in both runs.")]
    Compare(CompareArgs),
}

#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The run to compare with: a file that `plimsoll load --json` wrote
    #[arg(value_name = "BEFORE")]
    pub before: PathBuf,
    /// The run that may be better or worse than it: another such file
    #[arg(value_name = "AFTER")]
    pub after: PathBuf,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// End with exit code 3 if something got worse, and with 2 if nothing could be compared
    #[arg(long)]
    pub fail_if_worse: bool,
}

#[derive(Debug, Args)]
#[command(group = ArgGroup::new("pace").args(["rate", "steps", "ramp", "stages", "connections"]).multiple(false))]
pub struct MeasureArgs {
    /// What to ask for: http://, https:// or unix:/run/app.sock:/path
    #[arg(value_name = "URL", required = true)]
    pub url: Option<String>,

    /// Requests per second, due whatever the server does [default: 50]
    #[arg(long, value_name = "N", value_parser = rate, help_heading = "Pace")]
    pub rate: Option<f64>,
    /// How long [default: 30s; 10s for each step, 5s for each rate of a search]
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Pace")]
    pub duration: Option<Duration>,
    /// One rate after the other
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', value_parser = rate, help_heading = "Pace")]
    pub steps: Vec<f64>,
    /// From one rate to another, evenly
    #[arg(long, value_name = "N..N", value_parser = ramp, help_heading = "Pace")]
    pub ramp: Option<(f64, f64)>,
    /// With --rate: the middle third of the time at this rate
    #[arg(long, value_name = "N", value_parser = rate, requires = "rate", help_heading = "Pace")]
    pub spike: Option<f64>,
    /// Anything else: 100:30s,100..500:1m,500:2m
    #[arg(long, value_name = "STAGES", value_delimiter = ',', value_parser = stage, help_heading = "Pace")]
    pub stages: Vec<Stage>,
    /// Closed loop instead: so many connections, each asks again once it has its answer
    #[arg(long, value_name = "N", help_heading = "Pace")]
    pub connections: Option<usize>,
    /// As from many people, or as from a clock
    #[arg(long, value_name = "HOW", default_value = "poisson", help_heading = "Pace")]
    pub arrivals: Spread,

    /// Method of the request [default: GET, with a body POST]
    #[arg(long, short = 'X', value_name = "METHOD", help_heading = "Requests")]
    pub method: Option<String>,
    /// Header of every request, as "Name: value"
    #[arg(long, short = 'H', value_name = "HEADER", help_heading = "Requests")]
    pub header: Vec<String>,
    /// Body of the request; placeholders such as {{uuid}} are filled in
    #[arg(long, short = 'd', value_name = "TEXT", conflicts_with = "body_file", help_heading = "Requests")]
    pub body: Option<String>,
    /// The same from a file
    #[arg(long, value_name = "FILE", help_heading = "Requests")]
    pub body_file: Option<PathBuf>,
    /// One of several requests, as "METHOD PATH" or "WEIGHT METHOD PATH"; may be given again
    #[arg(long, value_name = "REQUEST", conflicts_with_all = ["method", "body", "body_file"], help_heading = "Requests")]
    pub request: Vec<String>,
    /// File with requests, weights, users and logins
    #[arg(long, value_name = "FILE", conflicts_with_all = ["request", "method", "header", "body", "body_file"], help_heading = "Requests")]
    pub scenario: Option<PathBuf>,
    /// How long a client waits from the moment its request was due [default: 10s; 1s with --find-limit and --with-and-without]
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Requests")]
    pub timeout: Option<Duration>,

    /// Speak HTTP/2
    #[arg(long, help_heading = "Connection")]
    pub http2: bool,
    /// PEM file with authorities to believe besides the system's
    #[arg(long, value_name = "FILE", conflicts_with = "insecure", help_heading = "Connection")]
    pub cacert: Option<PathBuf>,
    /// Believe any certificate
    #[arg(long, help_heading = "Connection")]
    pub insecure: bool,

    /// What is promised; exit code 3 when it is missed: p99<200ms,errors<1%,goodput>=95
    #[arg(long, value_name = "SLO", help_heading = "Judgement")]
    pub slo: Option<Slo>,
    /// Find the highest rate that keeps the promise [default promise: p99<500ms,errors<1%]
    #[arg(long, conflicts_with = "pace", help_heading = "Judgement")]
    pub find_limit: bool,
    /// Measure straight at the app, then through plimsoll in front of it: at multiples of its limit, or at --steps
    #[arg(long, conflicts_with_all = ["rate", "ramp", "stages", "connections", "find_limit"], help_heading = "Judgement")]
    pub with_and_without: bool,

    /// Write everything that was measured; - is standard output
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub json: Option<PathBuf>,
    /// Write a page with plots
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub html: Option<PathBuf>,
    /// Write the plot of goodput against offered load alone
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub svg: Option<PathBuf>,

    /// Needed for everything that is not on this machine: load on what is not yours is an attack
    #[arg(long, help_heading = "Safety")]
    pub i_own_this_target: bool,
    /// No more requests per second than this, whatever is asked; it slows down --connections [default: 100000]
    #[arg(long, value_name = "N", value_parser = rate, help_heading = "Safety")]
    pub max_rate: Option<f64>,
    /// No longer than this [default: 1h]
    #[arg(long, value_name = "TIME", value_parser = time, help_heading = "Safety")]
    pub max_duration: Option<Duration>,
    /// The same seed draws the same load
    #[arg(long, value_name = "N", default_value_t = 1, help_heading = "Safety")]
    pub seed: u64,
}

/// As [`Arrivals`], for the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Spread {
    Poisson,
    Constant,
}

impl From<Spread> for Arrivals {
    fn from(spread: Spread) -> Self {
        match spread {
            Spread::Poisson => Self::Poisson,
            Spread::Constant => Self::Constant,
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    let text = text.trim();
    let rate = text.strip_suffix("/s").unwrap_or(text).parse::<f64>().ok().filter(|rate| rate.is_finite() && *rate > 0.0);
    rate.ok_or_else(|| "write requests per second, such as 100 or 0.5".to_owned())
}

fn time(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 4] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3_600.0)];
    let text = text.trim();
    let digits = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = UNITS.iter().find(|(name, _)| *name == unit.trim()).and_then(|(_, length)| Some(number.parse::<f64>().ok()? * length));
    let time = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).filter(|time| !time.is_zero());
    time.ok_or_else(|| "write a number and one of ms, s, m, h, such as 30s".to_owned())
}

fn ramp(text: &str) -> Result<(f64, f64), String> {
    let ends = text.split_once("..").and_then(|(from, to)| Some((rate_or_zero(from)?, rate_or_zero(to)?)));
    ends.filter(|(from, to)| from + to > 0.0).ok_or_else(|| "write two rates, such as 10..500".to_owned())
}

fn rate_or_zero(text: &str) -> Option<f64> {
    if text.trim() == "0" { Some(0.0) } else { rate(text).ok() }
}

fn stage(text: &str) -> Result<Stage, String> {
    let (rates, lasts) = text.split_once(':').ok_or("write RATE:TIME or RATE..RATE:TIME, such as 100:30s")?;
    let lasts = time(lasts)?;
    let (from_rate, to_rate) = if rates.contains("..") { ramp(rates)? } else { rate(rates).map(|rate| (rate, rate))? };
    Ok(Stage { from_rate, to_rate, lasts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_rates_and_stages_are_read_as_people_write_them() {
        assert_eq!(["500ms", "1.5s", "2m", "1h"].map(|text| time(text).unwrap().as_millis()), [500, 1_500, 120_000, 3_600_000]);
        for text in ["", "5", "s", "-1s", "0s", "1d", "1e3s", "99999999999999999999h"] {
            time(text).unwrap_err();
        }
        for text in ["0", "-5", "inf", "NaN", "many", ""] {
            rate(text).unwrap_err();
        }
        assert_eq!(ramp("0..500").unwrap(), (0.0, 500.0));
        for text in ["10", "0..0", "10..", "a..b"] {
            ramp(text).unwrap_err();
        }
        assert_eq!(stage("100..500:1m").unwrap(), Stage { from_rate: 100.0, to_rate: 500.0, lasts: Duration::from_mins(1) });
        assert_eq!(stage("2.5:30s").unwrap(), Stage::constant(2.5, Duration::from_secs(30)));
        for text in ["100", "100:", ":30s", "100..:30s"] {
            stage(text).unwrap_err();
        }
    }
}
