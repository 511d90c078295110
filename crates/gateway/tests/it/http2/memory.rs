//! What clients can make the gateway keep for them, as memory of this process: nextest gives each test one of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::frames::*;
use crate::edge::Edge;
use crate::origin::Origin;
use crate::peer::{PIECE, in_time, ms, until};

const CONNECTIONS: usize = 3;
const STREAMS: usize = 100;

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")).unwrap();
    kilobytes.parse::<usize>().unwrap() * 1024
}

/// How much memory it takes when every stream of several connections is answered with more than anybody could keep, and nothing is read.
async fn grows_by(windows: Vec<u8>) -> usize {
    let (gate, written) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let (opened, counter) = (Arc::clone(&gate), Arc::clone(&written));
    let origin = Origin::start(move |mut visit| {
        let (opened, written) = (Arc::clone(&opened), Arc::clone(&counter));
        async move {
            visit.request().await;
            let _opened = opened.acquire().await;
            visit.send("HTTP/1.1 200 OK\r\ncontent-length: 1000000000\r\n\r\n").await;
            while let Ok(count) = visit.peer.stream.write(PIECE).await {
                written.fetch_add(count, Relaxed);
            }
        }
    })
    .await;
    let edge = Edge::with(|plan| plan.upstream.admission = None, &[&origin]).await;
    let streams: Vec<u8> = (0..STREAMS as u32).flat_map(|number| get(2 * number + 1)).collect();
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut client = edge.connect_narrow().await;
        client.send([opening(), windows.clone(), streams.clone()].concat()).await;
        clients.push(client);
    }
    until("all to be under way", || origin.request_count() == CONNECTIONS * STREAMS).await;
    let before = resident_bytes();
    gate.add_permits(CONNECTIONS * STREAMS);
    in_time("every instance to be held back", async {
        loop {
            let at = written.load(Relaxed);
            sleep(ms(500)).await;
            if at > 0 && written.load(Relaxed) == at {
                return;
            }
        }
    })
    .await;
    resident_bytes().saturating_sub(before)
}

#[tokio::test]
async fn answers_that_a_client_does_not_read_share_what_its_connection_may_hold() {
    let wide = [setting(4, (1 << 31) - 1), frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0, 0, 0])].concat();
    let grown = grows_by(wide).await;
    assert!(grown < 10 * 1024 * 1024, "{grown} bytes: it is 3 MB with the bound, 24 without");
}

#[tokio::test]
async fn answers_whose_windows_stay_closed_share_it_too() {
    let grown = grows_by(setting(4, 1)).await;
    assert!(grown < 3 * 1024 * 1024, "{grown} bytes: it is 1.6 MB with the bound, 4.7 without");
}
