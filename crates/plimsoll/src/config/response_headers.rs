//! `[gateway.response_headers]`: what answers tell about their way, and what they keep to themselves.
#![allow(clippy::doc_markdown, reason = "doc comments are read on terminals and in TOML too")]

use http::HeaderName;
use ipnet::IpNet;

use super::settings::Settings;
use super::shape::{Choice, FieldName, List, Network, choice};
use super::table::table;

table! {
    /// Header fields of answers: as few as possible, and diagnosis for those who ask for it.
    struct ResponseHeaders at [Settings.gateway.response_headers] {
        /// Fields that clients do not get: what software says about itself.
        remove: Vec<HeaderName> = removed(), List(FieldName);
        /// Whether answers say in `Server-Timing` where their time went: at the edge, in the queue, in attempts that failed, at the instance.
        /// What the application says there stays in front. `asked` tells it, and what the application says, only to clients in `asked_by` whose
        /// request has the field `X-Request-Diagnostics`; `always` tells everybody.
        server_timing: Tell = Tell::Off, Choice::<Tell>::new();
        /// Whether answers of instances say in `Via` that they came through Plimsoll. Requests always do.
        via: Tell = Tell::Off, Choice::<Tell>::new();
        /// Networks of the clients that may ask.
        asked_by: Vec<IpNet> = loopback(), List(Network);
    }
}

choice! {
    /// When something is told.
    Tell { Off = "off", Asked = "asked", Always = "always", }
}

/// What servers and frameworks add without being asked.
fn removed() -> Vec<HeaderName> {
    ["server", "x-powered-by", "x-aspnet-version", "x-aspnetmvc-version"].map(HeaderName::from_static).to_vec()
}

fn loopback() -> Vec<IpNet> {
    let network = |text: &str| text.parse().expect("a network");
    vec![network("127.0.0.0/8"), network("::1/128")]
}
