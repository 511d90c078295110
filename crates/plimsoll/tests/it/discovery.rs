//! `plimsoll gateway` in front of servers that come and go: told by names, services and a file, while it serves.

mod file;
mod service;

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::process::Command;

use plimsoll_testbed::dns::Dns;
use plimsoll_testbed::poll::until_blocking;
use plimsoll_testbed::port;

use crate::fleet::{Fleet, Launch, PATIENCE};
use crate::http::Request;
use crate::origin::Origin;
use crate::traffic::{Mix, Traffic};

/// A gateway whose one upstream has these keys.
fn gateway(directory: &Path, dns: Option<&Dns>, upstream: &str) -> Fleet {
    let resolvers = dns.map(|dns| format!("resolvers = [\"{}\"]\n", dns.address())).unwrap_or_default();
    let file = format!(
        "[gateway.discovery]\n{resolvers}ttl_min = \"100ms\"\nempty_after = \"300ms\"\ndrain = \"1s\"\n\
         [gateway.health]\ninterval = \"100ms\"\n\
         [[upstream]]\nname = \"api\"\n{upstream}\n[[route]]\nmatch = \"/*\"\nupstream = \"api\"\n"
    );
    std::fs::write(directory.join("plimsoll.toml"), file).unwrap();
    Launch::new(&["gateway"]).working_dir(directory).fleet()
}

/// The servers that take traffic.
fn ready(fleet: &Fleet) -> BTreeSet<String> {
    let status = fleet.status();
    let instances = status["instances"].as_array().unwrap().iter();
    let ready = instances.filter(|instance| instance["state"] == "ready");
    ready.map(|instance| instance["id"].as_str().unwrap().to_owned()).collect()
}

fn wait_for(fleet: &Fleet, servers: &[String]) {
    let expected: BTreeSet<_> = servers.iter().cloned().collect();
    let there = || Ok((ready(fleet) == expected).then_some(()));
    let waited = until_blocking(PATIENCE, "the servers that are listed", there);
    assert!(waited.is_ok(), "{expected:?} instead of {:?}", ready(fleet));
}

/// Who answers.
fn names(fleet: &Fleet) -> BTreeSet<String> {
    let mut client = fleet.client();
    let name = |_| client.get("/").json()["name"].as_str().unwrap().to_owned();
    (0..30).map(name).collect()
}

fn mix() -> Mix {
    Mix { requests: vec![Request::get("/")], session: None }
}

/// Three servers on one port, as one name has them.
fn three(port: u16) -> [Origin; 3] {
    [("one", 1), ("two", 2), ("three", 3)].map(|(name, host)| Origin::at(name, [127, 0, 0, host], port))
}

/// Gives the name these addresses, by their last numbers.
fn set(dns: &mut Dns, name: &str, hosts: &[u8]) {
    let addresses: Vec<_> = hosts.iter().map(|host| format!("127.0.0.{host}")).collect();
    dns.set(&addresses.iter().map(|address| (name, address.as_str())).collect::<Vec<_>>()).unwrap();
}

fn servers(hosts: &[u8], port: u16) -> Vec<String> {
    hosts.iter().map(|host| format!("http://127.0.0.{host}:{port}")).collect()
}

#[test]
fn records_change_under_load_and_no_request_fails() {
    let directory = tempfile::tempdir().unwrap();
    let (mut dns, port) = (Dns::start(&[]).unwrap(), port::free());
    let _origins = three(port);
    set(&mut dns, "api.test", &[1, 2]);
    let fleet = gateway(directory.path(), Some(&dns), &format!("servers = [\"http://api.test:{port}\"]"));
    wait_for(&fleet, &servers(&[1, 2], port));
    assert!(names(&fleet).iter().eq(["one", "two"]), "a name with two addresses is two servers");
    let traffic = Traffic::start(fleet.port(), &mix());
    for hosts in [&[2, 3][..], &[3], &[1, 2, 3], &[1]] {
        set(&mut dns, "api.test", hosts);
        wait_for(&fleet, &servers(hosts, port));
    }
    let tally = traffic.stop();
    assert!(tally.failed == 0 && tally.answered > 100, "{tally:?}");
    assert!(names(&fleet).iter().eq(["one"]));
    let alone = || Ok((fleet.status()["instances"].as_array().unwrap().len() == 1).then_some(()));
    until_blocking(PATIENCE, "those that drained to be gone", alone).unwrap();
    fleet.stop();
}

#[test]
fn a_name_without_an_ipv4_address_is_reached_by_ipv6() {
    let directory = tempfile::tempdir().unwrap();
    let (mut dns, port) = (Dns::start(&[]).unwrap(), port::free());
    let _origins = [Origin::at("four", Ipv4Addr::LOCALHOST, port), Origin::at("six", Ipv6Addr::LOCALHOST, port)];
    let (four, six) = (format!("http://127.0.0.1:{port}"), format!("http://[::1]:{port}"));
    dns.set(&[("api.test", "127.0.0.1"), ("api.test", "::1")]).unwrap();
    let fleet = gateway(directory.path(), Some(&dns), &format!("servers = [\"http://api.test:{port}\"]"));
    wait_for(&fleet, &[four]);
    assert!(names(&fleet).iter().eq(["four"]), "with both it would count twice");
    dns.set(&[("api.test", "::1")]).unwrap();
    wait_for(&fleet, &[six]);
    assert!(names(&fleet).iter().eq(["six"]));
    fleet.stop();
}

#[test]
fn a_name_server_that_fails_or_forgets_takes_nobody_out_and_is_said_once() {
    let directory = tempfile::tempdir().unwrap();
    // A name with a text and without an address exists all the same.
    let (mut dns, port) = (Dns::start(&["--txt-record=api.test,here".to_owned()]).unwrap(), port::free());
    let _origins = three(port);
    set(&mut dns, "api.test", &[1, 2]);
    set(&mut dns, "api.test", &[1]);
    let mut fleet = gateway(directory.path(), Some(&dns), &format!("servers = [\"http://api.test:{port}\"]"));
    wait_for(&fleet, &servers(&[1], port));
    dns.stop();
    fleet.wait_for_log("no answer: ");
    assert!(names(&fleet).iter().eq(["one"]));
    dns.start_again().unwrap();
    set(&mut dns, "api.test", &[2]);
    wait_for(&fleet, &servers(&[2], port));
    assert_eq!(fleet.log().matches("a name does not resolve").count(), 1, "{}", fleet.log());

    set(&mut dns, "api.test", &[]);
    fleet.wait_for_log("the name has no address");
    fleet.wait_for_log("its servers are taken out");
    let gone = || Ok(fleet.status()["instances"].as_array().unwrap().is_empty().then_some(()));
    until_blocking(PATIENCE, "nobody to be left", gone).unwrap();
    set(&mut dns, "api.test", &[3]);
    wait_for(&fleet, &servers(&[3], port));
    fleet.stop();
}

#[test]
fn it_starts_before_its_names_resolve_and_says_which_do_not() {
    let directory = tempfile::tempdir().unwrap();
    let (mut dns, port) = (Dns::start(&[]).unwrap(), port::free());
    let _origins = three(port);
    let mut fleet = gateway(directory.path(), Some(&dns), &format!("servers = [\"http://api.test:{port}\"]"));
    fleet.wait_for_log("no such name");
    let answer = fleet.client().get("/");
    answer.assert_problem(503, "no-instance");
    assert!(answer.text().contains("upstream `api` has no server"), "{}", answer.text());
    set(&mut dns, "api.test", &[1]);
    let served = || Ok((fleet.client().get("/").status == 200).then_some(()));
    until_blocking(PATIENCE, "requests to be served", served).unwrap();
    fleet.stop();
}

#[test]
fn a_name_that_leads_back_to_the_gateway_is_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let (mut dns, port) = (Dns::start(&[]).unwrap(), port::free());
    let _origin = Origin::at("two", [127, 0, 0, 2], port);
    set(&mut dns, "api.test", &[1, 2]);
    let upstream = format!("[gateway]\nbind = \"127.0.0.1\"\nport = {port}\n");
    let file = format!(
        "{upstream}[gateway.discovery]\nresolvers = [\"{}\"]\n[[upstream]]\nname = \"api\"\nservers = [\"http://api.test:{port}\"]\n[[route]]\nmatch = \"/*\"\n",
        dns.address()
    );
    std::fs::write(directory.path().join("plimsoll.toml"), file).unwrap();
    let mut fleet = Launch::new(&["gateway"]).working_dir(directory.path()).port(port).fleet();
    fleet.wait_for_log(&format!("http://api.test:{port} (127.0.0.1:{port}) is this gateway's own listener"));
    wait_for(&fleet, &servers(&[2], port));
    assert!(names(&fleet).iter().eq(["two"]));
    fleet.stop();
}

#[test]
fn check_warns_of_names_that_do_not_resolve() {
    let directory = tempfile::tempdir().unwrap();
    let mut dns = Dns::start(&[]).unwrap();
    set(&mut dns, "api.test", &[1]);
    let file = format!(
        "[gateway.discovery]\nresolvers = [\"{}\"]\n[[upstream]]\nname = \"api\"\nservers = [\"http://api.test\", \"https://ipa.test\", \"srv:_http._tcp.api.test\"]\n[[route]]\nmatch = \"/*\"\n",
        dns.address()
    );
    std::fs::write(directory.path().join("plimsoll.toml"), file).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_plimsoll")).arg("check").current_dir(directory.path()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "it is no mistake: the name may come later\n{text}");
    assert!(text.contains("https://ipa.test:443 does not resolve: no such name"), "{text}");
    assert!(text.contains("srv:_http._tcp.api.test does not resolve: no such name"), "{text}");
    assert!(!text.contains("http://api.test:80 does"), "{text}");
}
