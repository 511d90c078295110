//! What a figure was measured on: without it, it means nothing.

use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};

use crate::run;

/// Load average of the last minute above which times would tell of something else.
pub(super) const BUSY: f64 = 0.7;

pub(super) struct Machine {
    pub cores: usize,
    pub processor: String,
    pub kernel: String,
    /// Load average of the last minute before the run: what else the machine was doing.
    pub load: f64,
}

impl Machine {
    pub(super) fn describe() -> Result<Self> {
        let processors = fs::read_to_string("/proc/cpuinfo")?;
        let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let load = fs::read_to_string("/proc/loadavg")?;
        Ok(Self {
            cores: std::thread::available_parallelism()?.get(),
            processor: model.map_or("unknown processor", |(_, name)| name.trim()).to_owned(),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned(),
            load: load.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or_default(),
        })
    }

    /// Times that were taken beside other work tell of that.
    pub(super) fn ensure_quiet(&self) -> Result<()> {
        ensure!(
            self.load < BUSY,
            "the machine is busy (load average {:.2}): wait until it is quiet, or say --busy and mistrust the figures",
            self.load
        );
        Ok(())
    }

    /// A name for directories: `2-core-amd-epyc`.
    pub(super) fn slug(&self) -> String {
        let name = self.processor.to_lowercase();
        let words: Vec<&str> = name.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
        format!("{}-core-{}", self.cores, words.join("-"))
    }
}

/// Today, as in `2026-11-21`.
pub(super) fn today() -> Result<String> {
    Ok(run::quietly(Command::new("date").args(["--utc", "+%F"]))?.trim().to_owned())
}
