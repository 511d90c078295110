//! `plimsoll up`: the demo. The same as `run`, with our own reference API as the command.

use crate::config::{Environment, Named, Settings};
use crate::data_dir::DataDir;
use crate::fleet::{self, Plan};
use crate::logs;
use crate::report::Failure;

/// Enough to see balancing and failover, little enough for a laptop.
const INSTANCES: u32 = 3;

pub fn run(mut settings: Settings, environment: &Environment) -> Result<(), Failure> {
    let data_dir = DataDir::open(&settings.data_dir)?;
    let _logs = logs::start(&settings, environment)?;
    // The first instance to start would make it too; so does only one process.
    data_dir.session_keys(&settings)?;
    if settings.gateway.health.path.is_empty() {
        settings.gateway.health.path = String::from("/health/ready");
    }
    let plan = Plan {
        name: "api".to_owned(),
        instances: match settings.fleet.instances {
            0 => INSTANCES,
            instances => instances,
        },
        command: vec![fleet::self_exe()?.into(), "serve".into()],
        inherited: environment.variables().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        env: vec![
            ("PLIMSOLL_DATA_DIR".to_owned(), data_dir.path().display().to_string()),
            // Instances write into a pipe; what reads it may well be a terminal.
            ("PLIMSOLL__LOG__FORMAT".to_owned(), logs::format(&settings).as_str().to_owned()),
        ],
        state: Some(data_dir.state_url(&settings)),
        path: "/whoami",
    };
    fleet::run(plan, &settings, &data_dir)
}
