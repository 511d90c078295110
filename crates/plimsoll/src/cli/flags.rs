//! The flags that `up`, `run`, `gateway`, `check` and `explain` share: `--config`, and one for each of these settings.

use std::path::PathBuf;

use clap::{Arg, ArgMatches, Command, Error, FromArgMatches, value_parser};

use crate::config::{FILE_VARIABLE, Field, Flags, Settings, fields};

/// The flags in the order of the help, and what stands for their values.
const SHARED: [(&str, &str); 6] =
    [("port", "PORT"), ("tls", "NAMES"), ("tls-port", "PORT"), ("admin-port", "PORT"), ("instances", "N"), ("data-dir", "DIR")];

/// What the shared flags say. Values are text here; the setting's own parser reads them.
#[derive(Clone, Debug, Default)]
pub struct SettingFlags(pub Flags);

impl clap::Args for SettingFlags {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config").long("config").value_name("FILE").value_parser(value_parser!(PathBuf));
        let help = format!("File with settings [default: plimsoll.toml, if there] [env: {FILE_VARIABLE}]");
        command.args(SHARED.map(|(flag, value)| argument(flag, value))).arg(config.help(help))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn argument(flag: &'static str, value: &'static str) -> Arg {
    let field: &Field<Settings> = fields().find(|field| field.flag == Some(flag)).expect("shared flags are flags of settings");
    let default = (field.print)(&Settings::default());
    let variable = field.flag_variable().unwrap_or_default();
    let default = if default == "[]" { "none" } else { default.trim_matches('"') };
    let help = format!("{} [default: {default}] [env: {variable}]", field.summary());
    // A negative number is the setting's parser's to refuse: it knows the bounds.
    Arg::new(flag).long(flag).value_name(value).allow_negative_numbers(true).help(help)
}

impl FromArgMatches for SettingFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let value = |(flag, _)| matches.get_one::<String>(flag).map(|value| (flag, value.clone()));
        Ok(Self(Flags { config: matches.get_one("config").cloned(), values: SHARED.into_iter().filter_map(value).collect() }))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
