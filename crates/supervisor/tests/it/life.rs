//! Starting, dying, coming back.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use plimsoll_supervisor::{Address, Event, State};
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, timeout};

use crate::world::{World, eventually, group_members, kill, shell, spec};

fn tcp(address: &Address) -> std::net::SocketAddr {
    match address {
        Address::Tcp(address) => *address,
        Address::Unix(path) => panic!("expected a port, got {}", path.display()),
    }
}

#[tokio::test]
async fn real_servers_listen_on_ports_of_their_own() {
    let world = World::start(spec(3, &["python3", "-m", "http.server", "--bind", "127.0.0.1", "{port}"])).await;
    let instances = world.now();
    assert_eq!(instances.iter().map(|instance| instance.id.as_str()).collect::<Vec<_>>(), ["api-1", "api-2", "api-3"]);
    assert_eq!(instances.iter().map(|instance| &instance.address).collect::<HashSet<_>>().len(), 3);
    for instance in instances.iter() {
        let address = tcp(&instance.address);
        eventually("the server answers", || TcpStream::connect(address).is_ok()).await;
        let mut connection = TcpStream::connect(address).unwrap();
        connection.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        connection.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.0 200"), "{}", String::from_utf8_lossy(&answer));
    }
    world.stop().await;
}

#[tokio::test]
async fn the_killed_come_back_and_the_others_notice_nothing() {
    let mut world = World::start(shell(3, "exec sleep 1000")).await;
    let before = world.all_ready().await;
    let killed_at = Instant::now();
    kill(before[1].pid.unwrap(), Signal::KILL);
    let (status, restart_in) = world
        .event("its end is told", |event| match event {
            Event::Exited { instance, status, restart_in } if instance == "api-2" => Some((status, restart_in)),
            _ => None,
        })
        .await;
    assert_eq!(status, "killed by SIGKILL");
    assert!(restart_in.unwrap() <= Duration::from_millis(100), "{restart_in:?}");
    let after = world.instances("api-2 runs again", |instances| instances[1].generation == 2 && instances[1].pid.is_some()).await;
    assert!(killed_at.elapsed() < Duration::from_secs(2), "{:?}", killed_at.elapsed());
    assert_ne!(after[1].pid, before[1].pid);
    assert_ne!(after[1].address, before[1].address, "nothing meant for the dead reaches the living");
    assert_eq!((after[1].state, after[1].restarts_total), (State::Starting, 1));
    assert_eq!((&after[0], &after[2]), (&before[0], &before[2]));
    world.stop().await;
}

#[tokio::test]
async fn what_the_dead_leave_behind_goes_before_the_restart() {
    let mut world = World::start(shell(1, "sleep 1000 & echo child $!; echo leader $$; wait")).await;
    let child = world.number("child ").await;
    let leader = world.number("leader ").await;
    kill(leader, Signal::KILL);
    world.event("it starts again", |event| matches!(event, Event::Started { generation: 2, .. }).then_some(())).await;
    assert!(!group_members(leader).iter().any(|process| process.pid == child), "the child of the dead leader still runs");
    world.stop().await;
}

#[tokio::test]
async fn a_death_is_known_before_what_it_left_behind_is_cleared_away() {
    // Holds the output from outside of the group, for which the end of the instance waits a while.
    let mut world = World::start(shell(1, "setsid sh -c 'echo holder $$; exec sleep 20' & wait")).await;
    let holder = world.number("holder ").await;
    let before = world.all_ready().await;
    kill(before[0].pid.unwrap(), Signal::KILL);
    let instances = world.instances("its death is known", |instances| instances[0].pid.is_none()).await;
    assert!(matches!(instances[0].state, State::Backoff { .. }), "{instances:?}");
    assert_eq!(instances[0].generation, 1, "and before anything is started again");
    let exited = world.event("its end is told", |event| matches!(event, Event::Exited { .. }).then_some(()));
    assert!(timeout(Duration::ZERO, exited).await.is_err(), "the clearing was over before its death was known");
    world.instances("it runs again", |instances| instances[0].generation == 2 && instances[0].pid.is_some()).await;
    world.stop().await;
    let _ = kill_process(Pid::from_raw(holder.cast_signed()).unwrap(), Signal::KILL);
}

#[tokio::test]
async fn children_get_back_the_limit_that_a_fleet_has_raised_for_itself() {
    let mut spec = shell(1, "echo soft $(ulimit -Sn); exec sleep 1000");
    spec.open_files = Some(200);
    let mut world = World::start(spec).await;
    assert_eq!(world.number("soft ").await, 200);
    world.stop().await;
}

#[tokio::test]
async fn words_about_an_earlier_process_are_not_believed() {
    let mut world = World::start(shell(2, "exec sleep 1000")).await;
    let first = world.all_ready().await;
    kill(first[0].pid.unwrap(), Signal::KILL);
    world.instances("it runs again", |instances| instances[0].generation == 2 && instances[0].pid.is_some()).await;
    world.supervisor.report_ready("api-1", 1, false);
    world.supervisor.report_ready("api-1", 1, true);
    world.supervisor.report_ready("api-9", 2, true);
    // Once this later word was taken, the earlier ones have been too.
    world.supervisor.report_ready("api-2", 1, false);
    world.instances("unhealthy", |instances| instances[1].state == State::Unhealthy).await;
    assert_eq!(world.now()[0].state, State::Starting);
    world.supervisor.report_ready("api-1", 2, true);
    world.instances("ready", |instances| instances[0].state == State::Ready).await;
    let ready: Vec<_> = world.stop_and_collect().await.into_iter().filter(|event| matches!(event, Event::Ready { .. })).collect();
    assert_eq!(ready.len(), 3, "one for each process: {ready:?}");
}

#[tokio::test]
async fn a_unix_socket_is_given_where_the_command_wants_one() {
    let dir = tempfile::tempdir().unwrap();
    let script = "import os, socketserver\n\
        class Handler(socketserver.StreamRequestHandler):\n\
        \x20   def handle(self): self.wfile.write(os.environ['PLIMSOLL_SOCKET'].encode() + b' ' + os.environ.get('PORT', 'no port').encode())\n\
        import sys; socketserver.UnixStreamServer(sys.argv[1], Handler).serve_forever()";
    let mut spec = spec(1, &["python3", "-c", script, "{socket}"]);
    spec.inherited.retain(|(name, _)| name != "PORT");
    spec.socket_dir = dir.path().join("run");
    let world = World::start(spec).await;
    let Address::Unix(path) = world.now()[0].address.clone() else { panic!("a socket was asked for") };
    assert_eq!(path, dir.path().join("run/api-1-1.sock"));
    eventually("the socket answers", || UnixStream::connect(&path).is_ok()).await;
    let mut answer = String::new();
    UnixStream::connect(&path).unwrap().read_to_string(&mut answer).unwrap();
    assert_eq!(answer, format!("{} no port", path.display()));
    kill(world.now()[0].pid.unwrap(), Signal::KILL);
    world.instances("it runs again", |instances| instances[0].generation == 2 && instances[0].pid.is_some()).await;
    assert!(!path.exists(), "the socket is removed with its process");
    let Address::Unix(next) = world.now()[0].address.clone() else { panic!("a socket was asked for") };
    eventually("the next socket answers", || UnixStream::connect(&next).is_ok()).await;
    world.stop().await;
    assert_eq!(std::fs::read_dir(dir.path().join("run")).unwrap().count(), 0);
}

#[tokio::test]
async fn children_see_their_names_ports_and_the_configured_environment() {
    let mut spec = shell(1, "echo says $PLIMSOLL_INSTANCE $PLIMSOLL_VERSION {port} $PORT $UVICORN_PORT $GREETING; exec sleep 1000");
    spec.version = Some("v7".to_owned());
    spec.env = vec![("GREETING".to_owned(), "hello-{instance}".to_owned())];
    let mut world = World::start(spec).await;
    let said = world.line("says ").await;
    let port = tcp(&world.now()[0].address).port();
    assert_eq!(said, format!("api-1 v7 {port} {port} {port} hello-api-1"));
    world.stop().await;
}
