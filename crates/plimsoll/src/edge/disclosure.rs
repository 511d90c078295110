//! What answers tell, from its settings.

use plimsoll_gateway::disclosure::{Config, Tell};
use plimsoll_policy::forwarded::TrustedProxies;

use crate::config;

/// `None` where nothing is ever told.
pub fn of(settings: &config::ResponseHeaders) -> Option<Config> {
    let asked_by = TrustedProxies::new(settings.asked_by.clone());
    let disclosure = Config { server_timing: tell(settings.server_timing), via: tell(settings.via), asked_by };
    disclosure.is_on().then_some(disclosure)
}

fn tell(setting: config::Tell) -> Tell {
    match setting {
        config::Tell::Off => Tell::Off,
        config::Tell::Asked => Tell::Asked,
        config::Tell::Always => Tell::Always,
    }
}
