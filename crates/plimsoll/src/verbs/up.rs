//! `plimsoll up`: the demo. The same as `run`, with our own reference API as the command.

use std::path;

use anyhow::Context;
use plimsoll_supervisor::SELF_EXE;

use crate::config::{Environment, FILE_VARIABLE, Flags, Loaded, Named, Settings, fields};
use crate::fleet::{self, Plan};
use crate::logs;
use crate::reload::Reading;
use crate::report::Failure;
use crate::start::Start;
use crate::verbs::load;

/// Enough to see balancing and failover, little enough for a laptop.
const INSTANCES: u32 = 3;

/// What instances are told in so many words, so that one that starts again after the file was edited is like the others.
const TOLD: [&str; 4] = ["state.url", "service.session_ttl", "fleet.stop_timeout", "log.level"];

pub fn run(flags: &Flags, environment: &Environment) -> Result<(), Failure> {
    let mut loaded = load(flags, environment)?;
    let told = told(&loaded, flags)?;
    complete(&mut loaded.settings)?;
    let reading = Reading { flags: flags.clone(), environment: environment.clone(), complete };
    let (start, runtime, _log) = Start::new(reading, loaded)?;
    let (settings, data_dir) = (&start.settings, &start.data_dir);
    // The first instance to start would make it too; so does only one process.
    data_dir.session_keys(settings)?;
    let plan = Plan {
        name: "api".to_owned(),
        instances: match settings.fleet.instances {
            0 => INSTANCES,
            instances => instances,
        },
        command: vec![SELF_EXE.into(), "serve".into()],
        inherited: environment.for_instances(),
        env: told
            .into_iter()
            .chain([
                ("PLIMSOLL_DATA_DIR".to_owned(), data_dir.path().display().to_string()),
                // Instances write into a pipe; what reads it may well be a terminal.
                ("PLIMSOLL__LOG__FORMAT".to_owned(), logs::format(settings).as_str().to_owned()),
            ])
            .collect(),
        state: Some(data_dir.state_url(settings)),
        path: "/whoami",
    };
    runtime.block_on(fleet::run(plan, start))
}

/// What the reference API answers, if nobody says.
#[allow(clippy::unnecessary_wraps, reason = "other verbs miss something")]
fn complete(settings: &mut Settings) -> Result<(), Failure> {
    if settings.gateway.health.path.is_empty() {
        settings.gateway.health.path = String::from("/health/ready");
    }
    Ok(())
}

/// The variables by which an instance comes to the settings that the fleet has: the same file, and the flags as the variables they have.
/// The fleet's environment is inherited anyway.
fn told(loaded: &Loaded, flags: &Flags) -> Result<Vec<(String, String)>, Failure> {
    let mut told = Vec::new();
    if let Some(file) = &loaded.file {
        let absolute = path::absolute(file).context("cannot read the working directory")?;
        told.push((FILE_VARIABLE.to_owned(), absolute.display().to_string()));
    }
    told.extend(flags.values.iter().filter_map(|(flag, value)| {
        let field = fields().find(|field| field.flag == Some(flag))?;
        Some((field.flag_variable()?, value.clone()))
    }));
    for field in fields().filter(|field| TOLD.contains(&field.path)) {
        let value = (field.print)(&loaded.settings);
        // A password stays where it was written: a file is read by fewer eyes than an environment.
        if value == (field.show)(&loaded.settings) {
            told.push((field.variable(), unquoted(&value)));
        }
    }
    Ok(told)
}

/// The text of a TOML string, as variables have it.
fn unquoted(value: &str) -> String {
    match value.parse::<toml::Value>() {
        Ok(toml::Value::String(text)) => text,
        _ => value.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    /// What an instance reads with nothing but these variables.
    fn as_instance(told: &[(String, String)]) -> Loaded {
        config::load(&Flags::default(), &Environment::from_told(told)).unwrap()
    }

    #[test]
    fn an_instance_comes_to_the_settings_of_the_fleet() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("named.toml");
        let text = "state.url = 'redis://ada:pa\"ss@127.0.0.1:6379/3'\n[service]\nsession_ttl = '90s'\n\
                    session_keys = ['0123456789012345678901234567890123456789']\n[log]\nlevel = 'debug'\n[admin]\nport = 8080\n";
        std::fs::write(&file, text).unwrap();
        // Without this flag the file has two listeners on one port, which is a mistake.
        let flags = Flags { config: Some(file), values: vec![("port", "9999".to_owned())] };
        let loaded = config::load(&flags, &Environment::default()).unwrap();
        let told = told(&loaded, &flags).unwrap();
        assert_eq!(as_instance(&told).settings, loaded.settings);
        assert!(!format!("{told:?}").contains("pa\"ss"), "{told:?}");
    }

    #[test]
    fn what_instances_share_stays_as_it_was_when_the_fleet_started() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("named.toml");
        std::fs::write(&file, "state.url = 'sqlite:/tmp/a \"b\"'\n[service]\nsession_ttl = '90s'\n").unwrap();
        let flags = Flags { config: Some(file.clone()), values: Vec::new() };
        let loaded = config::load(&flags, &Environment::default()).unwrap();
        let told = told(&loaded, &flags).unwrap();
        std::fs::write(&file, "").unwrap();
        assert_eq!(as_instance(&told).settings, loaded.settings);
    }
}
