//! An authority that speaks ACME: pebble, with names of its own, that checks them at the ports of one gateway.

use std::path::PathBuf;
use std::process::Command;

use plimsoll_testbed::dns::Dns;
use plimsoll_testbed::port;
use plimsoll_testbed::process::Process;
use serde_json::json;

use crate::fleet::{Fleet, Launch, PATIENCE};
use crate::origin::Origin;
use crate::tls::{Desk, text, tool};

/// The key of the account that the authority knows, in base64url.
pub(super) const ACCOUNT_KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";

pub(super) struct Authority {
    desk: Desk,
    port: u16,
    management_port: u16,
    pub(super) http_port: u16,
    pub(super) tls_port: u16,
    dns: Dns,
    process: Option<Process>,
}

/// How it differs from a patient authority whose certificates live for years.
#[derive(Clone, Copy, Default)]
pub(super) struct Ways {
    /// Of a hundred nonces, so many are called bad.
    pub(super) bad_nonces: u32,
    pub(super) life_s: Option<u32>,
    pub(super) blocked: &'static [&'static str],
    pub(super) wants_account: bool,
    /// Takes so many seconds at most to look at a challenge, as a real one does.
    pub(super) looks_for_s: u32,
}

impl Authority {
    /// Not there yet.
    pub(super) fn new(names: &[&str]) -> Self {
        let desk = Desk::new();
        desk.certificate("pebble", &["localhost"], 90);
        let mut dns = Dns::start(&[]).unwrap();
        dns.set(&names.iter().map(|name| (*name, "127.0.0.1")).collect::<Vec<_>>()).unwrap();
        let [port, management_port, http_port, tls_port] = std::array::from_fn(|_| port::free());
        Self { desk, port, management_port, http_port, tls_port, dns, process: None }
    }

    /// As if it had never been there before: it keeps nothing.
    pub(super) fn start(&mut self, ways: Ways) {
        let config = json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{}", self.port),
            "managementListenAddress": format!("127.0.0.1:{}", self.management_port),
            "certificate": self.desk.path("pebble.pem"),
            "privateKey": self.desk.path("pebble.key"),
            "httpPort": self.http_port,
            "tlsPort": self.tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": ways.wants_account,
            "externalAccountMACKeys": { "account-1": ACCOUNT_KEY },
            "domainBlocklist": ways.blocked,
            "certificateValidityPeriod": ways.life_s.unwrap_or(90 * 24 * 60 * 60),
        }});
        std::fs::write(self.desk.path("pebble.json"), config.to_string()).unwrap();
        let mut command = Command::new("pebble");
        command.args(["-config", "pebble.json", "-dnsserver", &self.dns.address()]);
        match ways.looks_for_s {
            0 => command.env("PEBBLE_VA_NOSLEEP", "1"),
            seconds => command.env("PEBBLE_VA_SLEEPTIME", seconds.to_string()),
        };
        command.env("PEBBLE_AUTHZREUSE", "0");
        command.env("PEBBLE_WFE_NONCEREJECT", ways.bad_nonces.to_string());
        let mut process = Process::start("pebble", &command, self.desk.directory()).unwrap();
        let root = || {
            let (url, authority) = (format!("https://localhost:{}/roots/0", self.management_port), self.desk.word("ca.pem"));
            let output = tool("curl", &["-sSf", "--cacert", &authority, &url]);
            output.status.success().then(|| text(&output))
        };
        let root = process.wait_until(PATIENCE, "its root", root).unwrap();
        std::fs::write(self.desk.path("root.pem"), root).unwrap();
        self.process = Some(process);
    }

    pub(super) fn stop(&mut self) {
        self.process = None;
    }

    /// A gateway before one origin that gets its certificates here.
    pub(super) fn gateway(&self, origin: &Origin, names: &[&str], tls: &str, acme: &str) -> Fleet {
        self.write_settings(origin, names, tls, acme);
        self.launch().fleet()
    }

    pub(super) fn launch(&self) -> Launch {
        let tls_port = self.tls_port.to_string();
        let launch = Launch::new(&["gateway", "--tls-port", &tls_port]).port(self.http_port);
        launch.working_dir(self.desk.directory()).data_dir(self.desk.path("data"))
    }

    pub(super) fn write_settings(&self, origin: &Origin, names: &[&str], tls: &str, acme: &str) {
        std::fs::write(self.desk.path("plimsoll.toml"), self.settings(origin, names, tls, acme)).unwrap();
    }

    pub(super) fn settings(&self, origin: &Origin, names: &[&str], tls: &str, acme: &str) -> String {
        let (port, ca, names, server) = (self.port, self.desk.word("ca.pem"), json!(names), origin.server());
        format!(
            "[gateway.tls]\n{tls}\n[gateway.tls.acme]\ndirectory = \"https://localhost:{port}/dir\"\ndirectory_ca = \"{ca}\"\n\
             agree_to_terms = \"on\"\ncontact = [\"ada@shop.test\"]\nnames = {names}\n{acme}\n\
             [[upstream]]\nname = \"o\"\nservers = [\"{server}\"]\n[[route]]\nmatch = \"/*\"\nupstream = \"o\"\n"
        )
    }

    /// What curl gets from `https://NAME/x` if it believes what this authority issues, and nothing else.
    pub(super) fn curl(&self, name: &str) -> Result<String, String> {
        let (url, root) = (format!("https://{name}:{}/x", self.tls_port), self.desk.word("root.pem"));
        let here = format!("{name}:{}:127.0.0.1", self.tls_port);
        let output = tool("curl", &["-sSf", "--max-time", "20", "--cacert", &root, "--resolve", &here, &url]);
        if output.status.success() { Ok(text(&output)) } else { Err(text(&output)) }
    }

    /// Where the orders of the last hour for a name are recorded.
    pub(super) fn order_record(&self, name: &str) -> PathBuf {
        self.desk.path(&format!("data/acme/localhost_{}_dir/orders/{name}.json", self.port))
    }

    /// The certificate for a name, as the gateway keeps it.
    pub(super) fn kept(&self, name: &str) -> PathBuf {
        self.desk.path(&format!("data/acme/localhost_{}_dir/certificates/{name}.pem", self.port))
    }
}
