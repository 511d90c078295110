//! Services by SRV: ports, weights and priorities come from the records.

use plimsoll_testbed::dns::Dns;
use plimsoll_testbed::poll::until_blocking;
use plimsoll_testbed::port;

use super::{gateway, names, wait_for};
use crate::fleet::PATIENCE;
use crate::origin::Origin;

#[test]
fn the_first_priority_that_is_well_serves_and_the_next_one_stands_in() {
    let directory = tempfile::tempdir().unwrap();
    let [one, two, reserve] = [port::free(), port::free(), port::free()];
    let record = |target: &str, port: u16, priority: u16| format!("--srv-host=_http._tcp.api.test,{target}.test,{port},{priority},5");
    let records = [record("one", one, 1), record("two", two, 1), record("reserve", reserve, 2)];
    let mut dns = Dns::start(&records).unwrap();
    dns.set(&[("one.test", "127.0.0.1"), ("two.test", "127.0.0.1"), ("reserve.test", "127.0.0.1")]).unwrap();
    let start = |name, port| Origin::at(name, [127, 0, 0, 1], port);
    let (first, second, _reserve) = (start("one", one), start("two", two), start("reserve", reserve));
    let fleet = gateway(directory.path(), Some(&dns), "servers = [\"srv:_http._tcp.api.test\"]");
    let server = |port: u16| format!("http://127.0.0.1:{port}");
    wait_for(&fleet, &[server(one), server(two), server(reserve)]);
    assert!(names(&fleet).iter().eq(["one", "two"]), "the reserve is spared");

    drop(first);
    wait_for(&fleet, &[server(two), server(reserve)]);
    assert!(names(&fleet).iter().eq(["two"]), "one of the first is enough");
    drop(second);
    wait_for(&fleet, &[server(reserve)]);
    assert!(names(&fleet).iter().eq(["reserve"]), "then the reserve serves");
    let _back = start("one", one);
    let back = || Ok(names(&fleet).iter().eq(["one"]).then_some(()));
    until_blocking(PATIENCE, "the first priority to serve again", back).unwrap();
    fleet.stop();
}
