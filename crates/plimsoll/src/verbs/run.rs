//! `plimsoll run -- CMD…`: any HTTP server behind the edge, several times.

use std::thread;

use crate::cli::RunArgs;
use crate::config::{Environment, Flags};
use crate::fleet::{self, Plan};
use crate::reload::Reading;
use crate::report::Failure;
use crate::start::Start;
use crate::verbs::load;

pub fn run(args: &RunArgs, flags: Flags, environment: &Environment) -> Result<(), Failure> {
    let loaded = load(&flags, environment)?;
    let (start, runtime, _log) = Start::new(Reading { flags, environment: environment.clone(), complete: |_| Ok(()) }, loaded)?;
    let plan = Plan {
        name: args.name.clone(),
        instances: match start.settings.fleet.instances {
            // One per core uses the machine; with a single one a death could not be bridged.
            0 => thread::available_parallelism().map_or(2, |cores| cores.get().max(2) as u32),
            instances => instances,
        },
        command: args.command.clone(),
        inherited: environment.for_instances(),
        env: Vec::new(),
        state: None,
        path: "/",
    };
    runtime.block_on(fleet::run(plan, start))
}
