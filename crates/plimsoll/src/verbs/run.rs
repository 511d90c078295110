//! `plimsoll run -- CMD…`: any HTTP server behind the edge, several times.

use std::thread;

use crate::cli::RunArgs;
use crate::config::{Environment, Settings};
use crate::data_dir::DataDir;
use crate::fleet::{self, Plan};
use crate::logs;
use crate::report::Failure;

pub fn run(args: &RunArgs, settings: &Settings, environment: &Environment) -> Result<(), Failure> {
    let data_dir = DataDir::open(&settings.data_dir)?;
    let _logs = logs::start(settings, environment)?;
    let plan = Plan {
        name: args.name.clone(),
        instances: match settings.fleet.instances {
            // One per core uses the machine; with a single one a death could not be bridged.
            0 => thread::available_parallelism().map_or(2, |cores| cores.get().max(2) as u32),
            instances => instances,
        },
        command: args.command.clone(),
        inherited: environment.variables().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        env: Vec::new(),
        state: None,
        path: "/",
    };
    fleet::run(plan, settings, &data_dir)
}
