//! Certificates from a real authority: gotten, kept, renewed, and what happens when they are not to be had.

mod authority;

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::thread;

use plimsoll_testbed::exchange;
use plimsoll_testbed::poll::until_blocking;
use rustix::process::Signal;

use crate::fleet::{Fleet, PATIENCE};
use crate::lineage::Lineage;
use crate::origin::Origin;
use crate::reload::{ask, said};
use crate::tls::{h2load, text, tool};
use authority::{ACCOUNT_KEY, Authority, Ways};

/// How many orders came to this.
fn orders(fleet: &Fleet, result: &str) -> u64 {
    let metrics = exchange::get(fleet.admin_port(), "/metrics").unwrap().body;
    let start = format!("plimsoll_acme_orders_total{{result=\"{result}\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(&start));
    value.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap()
}

fn wait_for(fleet: &Fleet, result: &str, count: u64) {
    let enough = || Ok((orders(fleet, result) >= count).then_some(()));
    let waited = until_blocking(PATIENCE, &format!("{count} orders {result}"), enough);
    assert!(waited.is_ok(), "{}", fleet.log());
}

fn status(fleet: &Fleet) -> String {
    let data_dir = fleet.data_dir().display().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    text(&command.env_clear().args(["status", "--data-dir", &data_dir]).output().unwrap())
}

#[track_caller]
fn gets_certificates(challenge: &str) {
    let mut authority = Authority::new(&["shop.test", "api.shop.test"]);
    // Every fifth nonce is called bad: that is no reason to give up.
    authority.start(Ways { bad_nonces: 20, ..Ways::default() });
    let origin = Origin::tcp("origin");
    let names = ["shop.test", "api.shop.test"];
    let fleet = authority.gateway(&origin, &names, "", &format!("challenge = \"{challenge}\""));
    wait_for(&fleet, "issued", 2);
    for name in names {
        let answer = authority.curl(name).unwrap();
        assert!(answer.contains("\"name\":\"origin\""), "{answer}");
    }
    assert!(authority.curl("other.test").is_err(), "nobody vouches for it");
    // A token that nobody asked about is a path like any other.
    assert_eq!(fleet.client().get("/.well-known/acme-challenge/unknown").status, 308);
    assert_eq!(authority.kept("shop.test").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(orders(&fleet, "refused"), 0);
    fleet.stop();
}

#[test]
fn certificates_are_gotten_by_what_the_plain_port_answers() {
    gets_certificates("http-01");
}

#[test]
fn certificates_are_gotten_by_what_the_tls_port_shows() {
    gets_certificates("tls-alpn-01");
}

#[test]
fn a_restart_shows_what_is_there_and_asks_nobody() {
    let mut authority = Authority::new(&["shop.test"]);
    authority.start(Ways::default());
    let origin = Origin::tcp("origin");
    let fleet = authority.gateway(&origin, &["shop.test"], "", "");
    wait_for(&fleet, "issued", 1);
    let first = std::fs::read_to_string(authority.kept("shop.test")).unwrap();
    fleet.stop();

    authority.stop();
    let fleet = authority.launch().fleet();
    assert!(authority.curl("shop.test").is_ok(), "from the first moment on");
    assert_eq!(["issued", "refused", "limited", "failed"].map(|result| orders(&fleet, result)), [0; 4]);
    assert_eq!(std::fs::read_to_string(authority.kept("shop.test")).unwrap(), first);
    fleet.stop();
}

#[test]
fn a_certificate_is_renewed_before_it_ends_and_nobody_notices() {
    let mut authority = Authority::new(&["shop.test"]);
    authority.start(Ways { life_s: Some(15), ..Ways::default() });
    let origin = Origin::tcp("origin");
    let fleet = authority.gateway(&origin, &["shop.test"], "", "challenge = \"tls-alpn-01\"");
    wait_for(&fleet, "issued", 1);
    let first = std::fs::read_to_string(authority.kept("shop.test")).unwrap();
    thread::scope(|scope| {
        // On connections that stay open all the while.
        let load = scope.spawn(|| h2load(&fleet, &["-D", "16", "-c", "4", "-m", "4", "--rps", "20"]));
        let mut asked = 0;
        while !load.is_finished() {
            let answer = authority.curl("shop.test");
            assert!(answer.is_ok(), "after {asked}: {answer:?}");
            asked += 1;
        }
        let (good, bad) = load.join().unwrap();
        assert!(good > 200 && bad == 0 && asked > 10, "{good} good, {bad} bad, {asked} anew");
    });
    assert!(orders(&fleet, "issued") >= 2, "it would have ended meanwhile");
    assert_ne!(std::fs::read_to_string(authority.kept("shop.test")).unwrap(), first);
    fleet.stop();
}

#[test]
fn without_its_authority_the_edge_serves_and_asks_again() {
    let mut authority = Authority::new(&["shop.test"]);
    let origin = Origin::tcp("origin");
    let fleet = authority.gateway(&origin, &["shop.test"], "redirect = \"off\"", "");
    assert_eq!(fleet.client().get("/x").status, 200);
    let placeholder = tool("curl", &["-sSk", &format!("https://localhost:{}/x", authority.tls_port)]);
    assert!(text(&placeholder).contains("\"name\":\"origin\""), "TLS is spoken all the same: {}", text(&placeholder));
    wait_for(&fleet, "failed", 2);
    let said = status(&fleet);
    assert!(said.contains("no certificate can be had for shop.test: the authority cannot be asked: localhost:"), "{said}");
    assert_eq!(fleet.log().matches("no certificate can be had").count(), 1, "told once: {}", fleet.log());

    authority.start(Ways::default());
    wait_for(&fleet, "issued", 1);
    assert!(authority.curl("shop.test").is_ok());
    let said = status(&fleet);
    assert!(!said.contains("no certificate"), "{said}");
    fleet.stop();
}

#[test]
fn what_an_authority_refuses_is_told_in_its_own_words_and_keeps_nobody_else_from_theirs() {
    let mut authority = Authority::new(&["shop.test"]);
    authority.start(Ways { blocked: &["blocked.test"], ..Ways::default() });
    let origin = Origin::tcp("origin");
    let fleet = authority.gateway(&origin, &["blocked.test", "lost.test", "shop.test"], "", "");
    wait_for(&fleet, "issued", 1);
    wait_for(&fleet, "refused", 2);
    assert!(authority.curl("shop.test").is_ok());
    let said = status(&fleet);
    let line = |name: &str| {
        let start = format!("no certificate can be had for {name}: ");
        said.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("{said}"))
    };
    assert!(line("blocked.test").contains("(urn:ietf:params:acme:error:rejectedIdentifier)"), "{said}");
    assert!(line("lost.test").contains("(urn:ietf:params:acme:error:"), "{said}");
    assert!(line("lost.test").contains("the next order is due in "), "{said}");
    assert!(!said.contains("for shop.test"), "{said}");
    fleet.stop();
}

#[test]
fn an_authority_that_knows_its_customers_is_told_which_one_this_is() {
    let mut authority = Authority::new(&["shop.test"]);
    authority.start(Ways { wants_account: true, ..Ways::default() });
    let origin = Origin::tcp("origin");
    let fleet = authority.gateway(&origin, &["shop.test"], "", "");
    wait_for(&fleet, "refused", 1);
    assert!(status(&fleet).contains("externalAccountRequired"), "{}", status(&fleet));
    fleet.stop();
    std::fs::remove_dir_all(authority.kept("shop.test").ancestors().nth(3).unwrap()).unwrap();
    let account = format!("external_account = \"account-1\"\nexternal_account_key = \"{ACCOUNT_KEY}\"");
    let fleet = authority.gateway(&origin, &["shop.test"], "", &account);
    wait_for(&fleet, "issued", 1);
    assert!(authority.curl("shop.test").is_ok());
    fleet.stop();
}

#[test]
fn a_reload_orders_for_new_names_and_keeps_what_is_there() {
    let mut authority = Authority::new(&["shop.test", "new.test"]);
    authority.start(Ways::default());
    let origin = Origin::tcp("origin");
    let fleet = authority.gateway(&origin, &["shop.test"], "", "");
    wait_for(&fleet, "issued", 1);
    let first = std::fs::read_to_string(authority.kept("shop.test")).unwrap();
    authority.write_settings(&origin, &["shop.test", "new.test"], "", "");
    fleet.signal(Signal::HUP);
    wait_for(&fleet, "issued", 2);
    assert!(authority.curl("shop.test").is_ok() && authority.curl("new.test").is_ok());
    assert_eq!(std::fs::read_to_string(authority.kept("shop.test")).unwrap(), first);
    fleet.stop();
}

/// Each order counts with the authority, five of them within an hour are too many.
#[test]
fn reloads_leave_an_order_under_way_alone() {
    let mut authority = Authority::new(&["shop.test"]);
    authority.start(Ways { looks_for_s: 6, ..Ways::default() });
    let origin = Origin::tcp("origin");
    let fleet = authority.gateway(&origin, &["shop.test"], "", "");
    let record = authority.order_record("shop.test");
    let placed = || std::fs::read_to_string(&record).ok().map(|text| text.matches("secs_since_epoch").count());
    until_blocking(PATIENCE, "an order", || Ok(placed())).unwrap();
    for redirect in ["off", "on", "off"] {
        authority.write_settings(&origin, &["shop.test"], &format!("redirect = \"{redirect}\""), "");
        assert_eq!(said(&ask("reload", fleet.data_dir())).0, Some(0), "{}", fleet.log());
    }
    wait_for(&fleet, "issued", 1);
    assert_eq!((placed(), orders(&fleet, "failed")), (Some(1), 0), "{}", fleet.log());
    assert!(authority.curl("shop.test").is_ok());
    fleet.stop();
}

#[test]
fn after_an_upgrade_the_new_process_orders() {
    let mut authority = Authority::new(&["shop.test", "new.test"]);
    authority.start(Ways::default());
    let origin = Origin::tcp("origin");
    let settings = |names: &[&str]| authority.settings(&origin, names, "", "challenge = \"tls-alpn-01\"");
    let edge = Lineage::start(&["gateway", "--tls-port", &authority.tls_port.to_string()], &settings(&["shop.test"]));
    let believed = |name: &str| {
        let waited = until_blocking(PATIENCE, &format!("a certificate for {name}"), || Ok(authority.curl(name).ok()));
        assert!(waited.is_ok(), "{}", edge.log());
    };
    believed("shop.test");
    edge.write(&settings(&["shop.test", "new.test"]));
    edge.replace_binary_by_itself();
    edge.upgrade();
    believed("shop.test");
    believed("new.test");
    assert_eq!(edge.log().matches("a certificate was issued").count(), 2, "{}", edge.log());
    edge.stop();
}
