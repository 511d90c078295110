//! A new binary takes over: nothing is lost on the way, and where it cannot take over nothing changes.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use plimsoll_testbed::poll::until_blocking;
use rustix::process::Signal;

use crate::fleet::PATIENCE;
use crate::lineage::Lineage;
use crate::origin::Origin;
use crate::processes;
use crate::reload::{ask, said};
use crate::steady::Steady;
use crate::switched::{Echo, Switched};

fn file(origin: &Origin) -> String {
    format!("[[upstream]]\nname = \"o\"\nservers = [{:?}]\n[[route]]\nmatch = \"/*\"\nupstream = \"o\"\n", origin.server())
}

fn with_echo(origin: &Origin, echo: &Echo) -> String {
    let chat = format!("[[upstream]]\nname = \"echo\"\nservers = [{:?}]\n", echo.server());
    format!("{chat}[[route]]\nmatch = \"/chat\"\nupstream = \"echo\"\n{}", file(origin))
}

#[test]
fn the_new_binary_serves_on_the_same_sockets_with_the_new_file() {
    let [a, b] = [Origin::tcp("a"), Origin::tcp("b")];
    let edge = Lineage::start(&["gateway"], &file(&a));
    let first = edge.pid();
    assert_eq!(first, edge.first_pid());
    edge.write(&file(&b));
    edge.replace_binary_by_itself();
    let second = edge.upgrade();
    assert_eq!(edge.client().get("/").json()["name"], "b");
    let runs = std::fs::read_link(format!("/proc/{second}/exe")).unwrap();
    assert_eq!(runs, edge.binary(), "what the path leads to, and not what ran before");
    edge.until_gone(first);
    let (code, text) = said(&ask("reload", &edge.data_dir()));
    assert_eq!((code, text.trim()), (Some(0), "reloaded: nothing has changed"));
    edge.stop();
}

/// The promise of all of this: reloads twice a second and ten upgrades, under traffic, with a hundred switched connections open.
#[test]
fn reloads_and_upgrades_lose_no_request_and_no_open_connection() {
    let (origin, echo) = (Origin::tcp("o"), Echo::start());
    let first = with_echo(&origin, &echo);
    let edge = Lineage::start(&["gateway"], &first);
    let other = format!("{first}[[route]]\nmatch = \"/other\"\nupstream = \"o\"\n");
    let mut sockets: Vec<_> = (0..100).map(|_| Switched::open(edge.port, "/chat")).collect();
    // Two thousand requests a second, or as many as this machine can make while nothing else happens.
    let steady = || Steady::start(edge.port, 40, Duration::from_millis(20));
    let calm = steady();
    std::thread::park_timeout(Duration::from_secs(1));
    let calm = calm.stop();
    let traffic = steady();
    let mut pids = vec![edge.pid()];
    for round in 0..10 {
        for file in [&other, &first] {
            edge.write(file);
            let (code, text) = said(&ask("reload", &edge.data_dir()));
            assert!(code == Some(0) && text.contains("route /other"), "{text}");
            for socket in &mut sockets {
                socket.echo(b"still there?").unwrap_or_else(|error| panic!("round {round}: {error}"));
            }
            std::thread::park_timeout(Duration::from_millis(400));
        }
        edge.replace_binary_by_itself();
        pids.push(edge.upgrade());
        // Of every process some, since a reload reaches only the one that serves.
        sockets.extend((0..10).map(|_| Switched::open(edge.port, "/chat")));
    }
    for socket in &mut sockets {
        socket.echo(b"still there?").unwrap();
    }
    let tally = traffic.stop();
    println!("{tally:?}, and {:.0} a second before", calm.per_second);
    assert!(tally.failures.is_empty(), "{tally:?}\n{}", edge.log());
    assert!(tally.per_second >= 0.7 * calm.per_second && tally.answered > 4_000, "{tally:?} after {calm:?}");
    assert!(edge.processes().contains(&pids[0]), "the one that holds the old connections lives as long as they do");
    drop(sockets);
    pids.pop();
    for pid in pids {
        edge.until_gone(pid);
    }
    edge.stop();
}

#[test]
fn a_fleet_is_replaced_by_a_fleet() {
    let edge = Lineage::start(&["up"], "[gateway.timeouts]\ndrain = \"2s\"\n[fleet]\ninstances = 2\n");
    let mut user = crate::http::Client::logged_in(edge.port, "ada");
    let traffic = Steady::at(edge.port, "/whoami", 5, Duration::from_millis(20));
    let instances = |edge: &Lineage| -> Vec<u64> {
        let status = edge.status();
        status["instances"].as_array().unwrap().iter().filter_map(|instance| instance["pid"].as_u64()).collect()
    };
    for _ in 0..2 {
        let before = instances(&edge);
        let first = edge.pid();
        edge.replace_binary_by_itself();
        edge.upgrade();
        edge.until_gone(first);
        let after = instances(&edge);
        assert!(after.len() == 2 && after.iter().all(|pid| !before.contains(pid)), "{before:?} {after:?}");
        assert!(before.iter().all(|pid| !edge.processes().contains(&(*pid as u32))), "the old instances end with the old process");
        user.hang_up();
        assert_eq!(user.get("/me").status, 200, "nobody is logged out");
    }
    let tally = traffic.stop();
    assert!(tally.answered > 100 && tally.failures.is_empty(), "{tally:?}\n{}", edge.log());
    edge.stop();
}

#[test]
fn a_successor_that_cannot_take_over_changes_nothing_and_says_why() {
    let origin = Origin::tcp("o");
    let edge = Lineage::start(&["gateway"], &format!("[fleet]\nstartup_timeout = \"1ms\"\n{}", file(&origin)));
    let pid = edge.pid();
    let check = |expected: &[&str]| {
        let (code, text) = edge.try_upgrade();
        assert_eq!(code, Some(1), "{text}");
        for expected in expected.iter().chain(&["nothing was changed"]) {
            assert!(text.contains(expected), "`{expected}` is missing in {text}");
        }
        assert_eq!((edge.pid(), edge.client().get("/").status), (pid, 200));
        assert_eq!(edge.processes(), [pid], "it is gone");
    };
    edge.write(&format!("{}[gateway]\nprot = 1\n", file(&origin)));
    check(&["did not take over", "plimsoll.toml:8:1", "unknown key `prot`", "did you mean `port`?"]);
    edge.write(&file(&origin));
    edge.replace_binary_by_script("exit 7");
    check(&["did not take over", "exit status: 7"]);
    edge.replace_binary_by_script("exec sleep 60");
    check(&["was not ready within 10"]);
    std::fs::remove_file(edge.binary()).unwrap();
    check(&["cannot start", "No such file"]);
    edge.replace_binary_by_itself();
    edge.upgrade();
    edge.stop();
}

#[test]
fn killing_the_successor_on_its_way_leaves_the_old_one_serving() {
    let origin = Origin::tcp("o");
    let edge = Lineage::start(&["gateway"], &file(&origin));
    let pid = edge.pid();
    let traffic = Steady::start(edge.port, 5, Duration::from_millis(10));
    edge.replace_binary_by_script("exec sleep 60");
    std::thread::scope(|scope| {
        let upgrade = scope.spawn(|| edge.try_upgrade());
        let successor = || Ok(edge.processes().into_iter().find(|each| *each != pid));
        processes::signal(until_blocking(PATIENCE, "the successor", successor).unwrap(), Signal::KILL);
        let (code, text) = upgrade.join().unwrap();
        assert!(code == Some(1) && text.contains("signal: 9"), "{text}");
    });
    let tally = traffic.stop();
    assert!(tally.failures.is_empty(), "{tally:?}");
    assert_eq!(edge.pid(), pid);
    edge.stop();
}

#[test]
fn an_order_to_reload_that_comes_during_an_upgrade_is_not_lost_if_it_fails() {
    let [a, b] = [Origin::tcp("a"), Origin::tcp("b")];
    let edge = Lineage::start(&["gateway"], &file(&a));
    let pid = edge.pid();
    edge.replace_binary_by_script("exec sleep 60");
    std::thread::scope(|scope| {
        let upgrade = scope.spawn(|| edge.try_upgrade());
        let successor = || Ok(edge.processes().into_iter().find(|each| *each != pid));
        let successor = until_blocking(PATIENCE, "the successor", successor).unwrap();
        edge.write(&file(&b));
        processes::signal(pid, Signal::HUP);
        processes::signal(successor, Signal::KILL);
        assert_eq!(upgrade.join().unwrap().0, Some(1));
    });
    until_answered_by(&edge, "b");
    edge.stop();
}

#[test]
fn an_order_to_reload_that_comes_too_late_is_carried_out_by_the_successor() {
    let ([a, b], echo) = ([Origin::tcp("a"), Origin::tcp("b")], Echo::start());
    let edge = Lineage::start(&["gateway"], &with_echo(&a, &echo));
    let pid = edge.pid();
    // As long as it is open the old process is there, and somebody may take it for the one that serves.
    let socket = Switched::open(edge.port, "/chat");
    edge.replace_binary_by_itself();
    edge.upgrade();
    edge.write(&with_echo(&b, &echo));
    processes::signal(pid, Signal::HUP);
    until_answered_by(&edge, "b");
    drop(socket);
    edge.stop();
}

fn until_answered_by(edge: &Lineage, name: &str) {
    let is_so = || Ok((edge.client().get("/").json()["name"] == name).then_some(()));
    until_blocking(PATIENCE, "the new settings", is_so).unwrap_or_else(|error| panic!("{error:#}\n{}", edge.log()));
}

#[test]
fn an_order_to_stop_ends_an_upgrade_too() {
    let origin = Origin::tcp("o");
    let edge = Lineage::start(&["gateway"], &file(&origin));
    edge.replace_binary_by_script("exec sleep 60");
    std::thread::scope(|scope| {
        let upgrade = scope.spawn(|| edge.try_upgrade());
        until_blocking(PATIENCE, "the successor", || Ok((edge.processes().len() == 2).then_some(()))).unwrap();
        processes::signal(edge.first_pid(), Signal::TERM);
        assert_eq!(upgrade.join().unwrap().0, Some(1));
        until_blocking(PATIENCE, "both to end", || Ok(edge.processes().is_empty().then_some(()))).unwrap();
    });
}

#[test]
fn a_service_manager_hears_of_every_change() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notify");
    let manager = UnixDatagram::bind(&path).unwrap();
    manager.set_read_timeout(Some(PATIENCE)).unwrap();
    let heard = || {
        let mut bytes = [0; 200];
        let length = manager.recv(&mut bytes).expect("a word");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let until_heard = |words: &str| while !heard().starts_with(words) {};
    let origin = Origin::tcp("o");
    let variables = [("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "200000")];
    let edge = Lineage::start_with(&["gateway"], &file(&origin), &variables);
    until_heard("READY=1");
    until_heard("WATCHDOG=1");
    assert_eq!(said(&ask("reload", &edge.data_dir())).0, Some(0));
    until_heard("RELOADING=1\nMONOTONIC_USEC=");
    until_heard("READY=1");
    let pid = edge.upgrade();
    until_heard(&format!("MAINPID={pid}\nREADY=1"));
    until_heard("WATCHDOG=1");
    edge.stop();
    until_heard("STOPPING=1");
}
