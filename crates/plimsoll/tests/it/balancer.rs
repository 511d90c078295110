//! Behind a real load balancer that passes on whose connection it is (PROXY protocol, both versions).

use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;

use plimsoll_testbed::poll::until_blocking;
use plimsoll_testbed::port;
use plimsoll_testbed::process::Process;

use crate::fleet::{Launch, PATIENCE};
use crate::http;
use crate::origin::Origin;

/// `HAProxy` in front of a port, at a port of its own.
fn haproxy(directory: &Path, send: &str, to: u16) -> (Process, u16) {
    let port = port::free();
    let config = format!(
        "defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n\
         listen front\n  bind 127.0.0.1:{port}\n  server edge 127.0.0.1:{to} {send} check inter 100ms\n"
    );
    let file = directory.join(format!("haproxy-{send}.cfg"));
    std::fs::write(&file, config).unwrap();
    let mut command = Command::new("haproxy");
    command.args(["-db", "-f"]).arg(file);
    let mut process = Process::start(&format!("haproxy-{send}"), &command, directory).unwrap();
    let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).ok().map(drop);
    process.wait_until(PATIENCE, "HAProxy to listen", listens).unwrap();
    (process, port)
}

/// What the origin was told, by a client at another address of this machine than the balancer's.
fn asked_from(client: Ipv4Addr, port: u16) -> anyhow::Result<String> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    socket.bind(&SocketAddr::from((client, 0)).into())?;
    socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    let mut stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.66\r\nConnection: close\r\n\r\n")?;
    let mut stream = BufReader::new(stream);
    let answer = http::head(&mut stream)?;
    anyhow::ensure!(answer.status == 200, "{answer:?}");
    Ok(std::io::read_to_string(stream)?.to_lowercase())
}

#[test]
fn the_client_of_a_balancer_is_known_by_its_own_address() {
    let directory = tempfile::tempdir().unwrap();
    let origin = Origin::tcp("o");
    let file = format!(
        "[gateway]\nproxy_protocol = \"on\"\ntrusted_proxies = [\"127.0.0.1\"]\n[[upstream]]\nname = \"o\"\nservers = [{:?}]\n\
         [[route]]\nmatch = \"/*\"\nupstream = \"o\"\n",
        origin.server()
    );
    std::fs::write(directory.path().join("plimsoll.toml"), file).unwrap();
    let mut fleet = Launch::new(&["gateway"]).working_dir(directory.path()).fleet();
    for send in ["send-proxy", "send-proxy-v2"] {
        let (_haproxy, port) = haproxy(directory.path(), send, fleet.port());
        let client = Ipv4Addr::new(127, 0, 0, 77);
        let seen = || Ok(asked_from(client, port).ok());
        let seen = until_blocking(PATIENCE, "an answer through HAProxy", seen).unwrap();
        assert!(seen.contains("\"x-forwarded-for: 127.0.0.77\"") && !seen.contains("192.0.2.66"), "{send}: {seen}");
    }
    assert!(asked_from(Ipv4Addr::LOCALHOST, fleet.port()).is_err(), "a trusted peer has to say whose connection it is");
    assert!(asked_from(Ipv4Addr::new(127, 0, 0, 77), fleet.port()).is_err(), "and nobody else may come at all");
    fleet.wait_for_log("gateway.proxy_protocol is on");
    fleet.stop();
}
