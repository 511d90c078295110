//! What clients can make the gateway keep for them: whatever instances could send, less what the kernel still holds on either side.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use plimsoll_gateway::Address;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use super::frames::*;
use crate::edge::Edge;
use crate::origin::Origin;
use crate::peer::{PATIENCE, PIECE, ms, until};

const CONNECTIONS: usize = 3;
const STREAMS: usize = 100;
/// Of each answer: more than is ever fetched for a stream at a time.
const PIECES: usize = 8;
/// It is 3 MB. Without a bound for all streams of a connection it would be 64 KiB for each of 300, or all they are offered: 38 MB.
const KEPT_BYTES_MAX: usize = 5 << 20;

/// What was sent to or from this port and has not been read, by the kernel's own table: not even other tests of this process count.
fn unread_bytes(port: u16) -> usize {
    let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
    let port = format!(":{port:04X}");
    let hex = |number: &str| usize::from_str_radix(number, 16).unwrap();
    let unread = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let [local, remote, _state, queues] = std::array::from_fn(|_| words.next().unwrap());
        let (sent, received) = queues.split_once(':').unwrap();
        if local.ends_with(&port) || remote.ends_with(&port) { hex(sent) + hex(received) } else { 0 }
    };
    table.lines().skip(1).map(unread).sum()
}

/// Answers with more than anybody could keep, once the gate is open. Counts what its kernel takes.
async fn generous(gate: &Arc<Semaphore>, written: &Arc<AtomicUsize>) -> Origin {
    let (gate, written) = (Arc::clone(gate), Arc::clone(written));
    Origin::start(move |mut visit| {
        let (gate, written) = (Arc::clone(&gate), Arc::clone(&written));
        async move {
            visit.request().await;
            let _opened = gate.acquire().await;
            visit.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n").await;
            let mut left = PIECES * PIECE.len();
            while left > 0
                && let Ok(count) = visit.peer.stream.write(&PIECE[..left.min(PIECE.len())]).await
            {
                left -= count;
                written.fetch_add(count, Relaxed);
            }
            visit.peer.rest().await;
        }
    })
    .await
}

/// How much the gateway keeps when every stream of several connections is answered and nothing is read.
async fn kept_bytes(windows: Vec<u8>) -> usize {
    let (gate, written) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let origin = generous(&gate, &written).await;
    let edge = Edge::with(|plan| plan.upstream.admission = None, &[&origin]).await;
    let streams: Vec<u8> = (0..STREAMS as u32).flat_map(|number| get(2 * number + 1)).collect();
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut client = edge.connect_narrow().await;
        client.send([opening(), windows.clone(), streams.clone()].concat()).await;
        clients.push(client);
    }
    until("all to be under way", || origin.request_count() == CONNECTIONS * STREAMS).await;
    gate.add_permits(CONNECTIONS * STREAMS);
    let Address::Tcp(upstream) = origin.address else { unreachable!("it listens on a port") };
    let ports = [upstream.port(), edge.gateway.address().port()];
    let settled = async {
        let mut before = (0, 0);
        loop {
            let unread: usize = ports.map(unread_bytes).iter().sum();
            let now = (written.load(Relaxed), unread);
            if now == before && now.0 > CONNECTIONS * STREAMS * PIECE.len() {
                return now.0.saturating_sub(unread);
            }
            before = now;
            sleep(ms(300)).await;
        }
    };
    timeout(4 * PATIENCE, settled).await.expect("every instance is held back")
}

#[tokio::test]
async fn answers_that_a_client_does_not_read_share_what_its_connection_may_hold() {
    let wide = [setting(4, (1 << 31) - 1), frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0])].concat();
    let kept = kept_bytes(wide).await;
    assert!(kept < KEPT_BYTES_MAX, "{kept} bytes");
}

#[tokio::test]
async fn answers_whose_windows_stay_closed_share_it_too() {
    let kept = kept_bytes(setting(4, 1)).await;
    assert!(kept < KEPT_BYTES_MAX, "{kept} bytes");
}
