//! What every verb that runs an edge does first: reads the settings, takes what it was given, claims its directory, opens its log.

use anyhow::Context;
use plimsoll_telemetry::log::Guard;
use tokio::runtime::Runtime;

use crate::config::{FILE_NAME, Loaded, Settings, Watch as Watching};
use crate::data_dir::{Claim, DataDir};
use crate::handover::{Binary, Inherited};
use crate::reload::{Reading, Watch};
use crate::report::Failure;
use crate::{logs, open_files};

pub struct Start {
    pub reading: Reading,
    pub settings: Settings,
    pub data_dir: DataDir,
    pub claim: Claim,
    pub inherited: Inherited,
    pub binary: Binary,
    /// The soft limit of open files before it was raised.
    pub open_files: Option<u64>,
    /// Of the file, if anybody wants that.
    pub watch: Watch,
}

impl Start {
    /// With a runtime for what the verb goes on to do, and the log, which is to be held to the end.
    pub fn new(reading: Reading, loaded: Loaded) -> Result<(Self, Runtime, Guard), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the runtime")?;
        let environment = &reading.environment;
        let mut inherited = runtime.block_on(Inherited::take(environment))?;
        let data_dir = DataDir::open(&loaded.settings.data_dir)?;
        let claim = data_dir.claim(inherited.claim())?;
        let log = logs::start(&loaded.settings, environment)?;
        let open_files = inherited.open_files().or(open_files::raise());
        open_files::warn_if_too_few(&loaded.settings);
        let is_watched = match loaded.settings.watch {
            Watching::On => true,
            Watching::Off => false,
            Watching::Auto => logs::is_on_terminal(),
        };
        let watched = is_watched.then(|| loaded.file.clone().unwrap_or_else(|| FILE_NAME.into()));
        let watch = Watch::of(watched, loaded.stamp);
        let binary = Binary::of_process(environment);
        let reading = reading.keep_to(&loaded);
        let settings = loaded.settings;
        Ok((Self { reading, settings, data_dir, claim, inherited, binary, open_files, watch }, runtime, log))
    }
}
