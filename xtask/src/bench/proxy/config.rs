//! What the configurations in `bench/peers` leave open: ports, servers, routes, certificates.

use std::path::Path;

use anyhow::{Context, Result};

use super::super::site::Site;
use super::scene::Scene;

/// Plimsoll speaks TLS as soon as there is a certificate.
const TLS: &str = "\n[gateway.tls]\nversion_min = \"1.3\"\ncertificates = [{ chain = \"{chain}\", key = \"{key}\" }]\n";

/// Connections that each lets in: more than any workload makes.
const CONNECTIONS: &str = "12000";

/// Where a competitor stands.
pub(super) struct Place<'a> {
    pub directory: &'a Path,
    pub port: u16,
    pub scene: Scene,
    pub site: &'a Site,
    /// Under valgrind, where everything but the clock is fifty times slower.
    pub is_slowed: bool,
}

impl Place<'_> {
    /// The first of the origin's ports.
    pub(super) fn origin(&self) -> u16 {
        self.site.origins[0]
    }

    fn servers(&self) -> &[u16] {
        &self.site.origins[..self.scene.servers]
    }

    /// A text for each server.
    fn each_server(&self, text: impl Fn(u16) -> String, separator: &str) -> String {
        self.servers().iter().map(|port| text(*port)).collect::<Vec<_>>().join(separator)
    }

    /// A text for each route's prefix, or for all paths.
    fn each_route(&self, text: impl Fn(&str) -> String) -> String {
        if self.scene.routes == 0 { text("/") } else { (0..self.scene.routes).map(|index| text(&format!("/r{index}/"))).collect() }
    }

    /// What everybody is told.
    fn common(&self) -> Vec<(&'static str, String)> {
        vec![
            ("directory", self.directory.display().to_string()),
            ("port", self.port.to_string()),
            ("connections", CONNECTIONS.to_owned()),
            ("chain", self.site.certificate.chain().display().to_string()),
            ("key", self.site.certificate.key().display().to_string()),
        ]
    }

    fn with<const N: usize>(&self, own: [(&'static str, String); N]) -> Vec<(&'static str, String)> {
        // The own ones first: what they are filled with may hold places of the others.
        own.into_iter().chain(self.common()).collect()
    }
}

pub(super) fn nginx(place: &Place<'_>) -> Vec<(&'static str, String)> {
    let Scene { tls, http2, .. } = place.scene;
    let certificate = "ssl_certificate {chain}; ssl_certificate_key {key}; ssl_protocols TLSv1.3;";
    place.with([
        ("servers", place.each_server(|port| format!("server 127.0.0.1:{port};"), "\n        ")),
        ("routes", place.each_route(|prefix| format!("        location {prefix} {{ proxy_pass http://origin; }}\n"))),
        ("listen", [if tls { " ssl" } else { "" }, if http2 { " http2" } else { "" }].concat()),
        ("tls", if tls { certificate.to_owned() } else { String::new() }),
        // Every server may be left with some.
        ("kept", (128 + 4 * place.scene.servers).to_string()),
    ])
}

/// Many routes are a map in a file, which it searches as a tree.
pub(super) fn haproxy(place: &Place<'_>) -> Result<Vec<(&'static str, String)>> {
    let Scene { tls, http2, routes, .. } = place.scene;
    let map = place.directory.join("routes.map");
    std::fs::write(&map, place.each_route(|prefix| format!("{prefix} origin\n"))).context("cannot write a map")?;
    let rule = if routes == 0 { "default_backend origin" } else { "use_backend %[path,map_beg({directory}/routes.map)]" };
    let both = place.site.certificate.both();
    let bind = match (tls, http2) {
        (true, _) => format!(" ssl crt {} ssl-min-ver TLSv1.3 alpn h2,http/1.1", both.display()),
        (false, true) => " proto h2".to_owned(),
        (false, false) => String::new(),
    };
    let servers = place.each_server(|port| format!("server s{port} 127.0.0.1:{port}"), "\n    ");
    Ok(place.with([("servers", servers), ("routes", rule.to_owned()), ("bind", bind)]))
}

pub(super) fn caddy(place: &Place<'_>) -> Vec<(&'static str, String)> {
    let tls = place.scene.tls;
    place.with([
        ("scheme", if tls { "https" } else { "http" }.to_owned()),
        ("tls", if tls { "tls {chain} {key} {\n        protocols tls1.3\n    }" } else { "" }.to_owned()),
        ("servers", place.each_server(|port| format!("127.0.0.1:{port}"), " ")),
        (
            "routes",
            if place.scene.routes == 0 {
                "import origin".to_owned()
            } else {
                place.each_route(|prefix| format!("handle {prefix}* {{\n        import origin\n    }}\n    "))
            },
        ),
    ])
}

pub(super) fn plimsoll(place: &Place<'_>) -> Vec<(&'static str, String)> {
    place.with([
        ("servers", place.each_server(|port| format!("\"http://127.0.0.1:{port}\""), ", ")),
        ("routes", place.each_route(|prefix| format!("[[route]]\nmatch = \"{prefix}*\"\nupstream = \"origin\"\n\n"))),
        // By the clock, they would be counted fifty times.
        ("probe_interval", if place.is_slowed { "1m" } else { "1s" }.to_owned()),
        ("tls", if place.scene.tls { TLS.to_owned() } else { String::new() }),
    ])
}
