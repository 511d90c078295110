//! How answers are compressed, from its settings.

use plimsoll_gateway::compress::{Config, Levels, MediaTypes};

use crate::config::{Compression, Switch};

pub(super) fn of(settings: &Compression) -> Option<Config> {
    if settings.mode == Switch::Off || settings.codings.is_empty() {
        return None;
    }
    let types = MediaTypes::new(settings.types.iter().map(String::as_str)).expect("each was checked when it was read");
    let levels = Levels { zstd: settings.zstd_level, brotli: settings.br_level, gzip: settings.gzip_level };
    Some(Config::new(settings.codings.clone(), levels, types, settings.length_min, settings.streams_max))
}
