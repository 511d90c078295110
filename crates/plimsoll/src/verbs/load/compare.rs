//! `plimsoll load compare`: two results side by side.

use std::path::Path;

use anyhow::{Context, anyhow};
use plimsoll_load::Report;
use plimsoll_load::compare::{compare, text};

use crate::cli::CompareArgs;
use crate::report::Failure;

pub(super) fn run(args: &CompareArgs) -> Result<(), Failure> {
    let comparison = compare(&read(&args.before)?, &read(&args.after)?);
    if args.json {
        println!("{}", serde_json::to_string(&comparison).context("the comparison cannot be written")?);
    } else {
        print!("{}", text(&comparison));
    }
    if !args.fail_if_worse {
        return Ok(());
    }
    if let Some(reason) = comparison.nothing_compared() {
        return Err(Failure::asked(format!("nothing could be compared: {reason}")).hint("measure both with the same --rate or --steps"));
    }
    if comparison.is_worse() { Err(Failure::missed("it got worse, by more than chance")) } else { Ok(()) }
}

fn read(file: &Path) -> Result<Report, Failure> {
    let asked = |error: anyhow::Error| Failure::asked(format!("{error:#}")).hint("write one with: plimsoll load URL --json FILE");
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display())).map_err(asked)?;
    Report::from_json(&text).map_err(|error| asked(anyhow!("{}: {error}", file.display())))
}
