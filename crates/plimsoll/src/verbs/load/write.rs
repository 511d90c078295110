//! Where results go.

use std::fs::{self, OpenOptions};
use std::path::Path;

use anyhow::Context;
use plimsoll_load::Report;
use plimsoll_load::report::{page, picture, summary};

use crate::cli::MeasureArgs;
use crate::report::Failure;

const STANDARD_OUTPUT: &str = "-";

/// Refuses files that cannot be written, without changing them.
pub(super) fn check(args: &MeasureArgs) -> Result<(), Failure> {
    for file in [&args.json, &args.html, &args.svg].into_iter().flatten().filter(|file| !is_standard_output(file)) {
        let is_new = !file.exists();
        let opened = OpenOptions::new().append(true).create(true).open(file);
        opened.with_context(|| format!("cannot write {}", file.display()))?;
        if is_new {
            // A run that fails leaves no empty result behind.
            let _ = fs::remove_file(file);
        }
    }
    Ok(())
}

pub(super) fn all(args: &MeasureArgs, report: &Report) -> Result<(), Failure> {
    match &args.json {
        Some(file) if is_standard_output(file) => println!("{}", report.to_json()),
        json => {
            print!("{}", summary::text(report));
            if let Some(file) = json {
                write(file, &report.to_json())?;
            }
        }
    }
    if let Some(file) = &args.html {
        write(file, &page::html(report))?;
    }
    if let Some(file) = &args.svg {
        match picture::svg(report) {
            Some(svg) => write(file, &svg)?,
            None => eprintln!("warning: no {}: the plot needs at least two rates", file.display()),
        }
    }
    Ok(())
}

fn is_standard_output(file: &Path) -> bool {
    file.as_os_str() == STANDARD_OUTPUT
}

fn write(file: &Path, text: &str) -> Result<(), Failure> {
    Ok(fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?)
}
