//! What the binary can be told to do: one file for each verb. Only here is anything printed.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "verbs talk to people")]

mod ask;
mod check;
mod explain;
mod gateway;
mod load;
mod reload;
mod run;
mod serve;
mod status;
mod up;
mod upgrade;

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::{Cli, RunArgs, RunningArgs, Verb};
use crate::config::{self, Environment, Flags, Loaded, Mistake, Mistakes};
use crate::report::Failure;

/// Does what the command line says; without a verb, `up`.
pub fn dispatch(cli: Cli, environment: &Environment) -> Result<(), Failure> {
    let settings = |flags: &Flags| load(flags, environment).map(|loaded| loaded.settings);
    match cli.verb.unwrap_or(Verb::Up(cli.up)) {
        Verb::Up(args) => up::run(&args.settings.0, environment),
        Verb::Run(args) => run::run(&args, flags_of_run(&args)?, environment),
        Verb::Gateway(args) => gateway::run(args.settings.0, environment),
        Verb::Load(args) => load::run(&args, environment),
        Verb::Serve => serve::run(&settings(&Flags::default())?, environment),
        Verb::Status(args) => status::run(&data_dir_of(&args, environment)?, args.json),
        Verb::Reload(args) => reload::run(&data_dir_of(&args, environment)?, args.json),
        Verb::Upgrade(args) => upgrade::run(&data_dir_of(&args, environment)?, args.json),
        Verb::Check(args) => check::run(&args, environment),
        Verb::Explain(args) => explain::run(&args, environment),
    }
}

/// Says what went wrong on standard error, and the exit code for it.
pub fn report(failure: &Failure) -> ExitCode {
    eprintln!("{failure}");
    failure.exit_code()
}

/// The settings in force. Warnings are printed; mistakes are the user's turn.
fn load(flags: &Flags, environment: &Environment) -> Result<Loaded, Failure> {
    let loaded = config::load(flags, environment).map_err(mistaken)?;
    for warning in &loaded.mistakes {
        eprintln!("{warning}");
    }
    Ok(loaded)
}

pub fn mistaken(Mistakes(mistakes): Mistakes) -> Failure {
    let count = mistakes.iter().filter(|mistake| mistake.is_error()).count();
    Failure::asked(format!("the configuration has {}", counted(count, "mistake"))).details(shown(&mistakes))
}

/// Mistakes beyond this many help nobody.
const SHOWN_MAX: usize = 50;

fn shown(mistakes: &[Mistake]) -> String {
    let mut shown: Vec<_> = mistakes.iter().take(SHOWN_MAX).map(Mistake::to_string).collect();
    if mistakes.len() > SHOWN_MAX {
        shown.push(format!("… and {} more\n", mistakes.len() - SHOWN_MAX));
    }
    shown.join("\n")
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn flags_of_run(args: &RunArgs) -> Result<Flags, Failure> {
    if args.command.is_empty() {
        return Err(Failure::asked("run needs the command that starts your server").hint("plimsoll run -- uvicorn app:app"));
    }
    let mut flags = args.settings.0.clone();
    flags.values.extend(args.ready_path.clone().map(|path| ("ready-path", path)));
    Ok(flags)
}

/// Found even if the file has mistakes elsewhere: it is the running fleet that must judge them.
fn data_dir_of(args: &RunningArgs, environment: &Environment) -> Result<PathBuf, Failure> {
    let values = args.data_dir.clone().map(|directory| ("data-dir", directory)).into_iter().collect();
    config::data_dir(&Flags { config: args.config.clone(), values }, environment).map_err(mistaken)
}
