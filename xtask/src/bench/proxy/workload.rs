//! What is asked of whom.

use clap::ValueEnum;

use super::super::event_loop::{LARGE_BYTES, LARGE_PATH, SMALL_BYTES};
use super::ask::Ask;
use super::figures::Entry;
use super::peer::Peer;
use super::scene::Scene;

/// A thing to measure; the order here is the order of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Workload {
    /// A GET answered by 1 KiB, kept alive.
    Get,
    /// A POST of 1 KiB, answered by 1 KiB.
    Post,
    /// A GET answered by 1 MiB.
    Download,
    /// A GET over cleartext HTTP/2, 32 streams on each connection.
    Http2,
    /// A GET over TLS 1.3, kept alive.
    Tls,
    /// A TLS 1.3 handshake and a GET.
    Handshakes,
    /// A WebSocket frame and its echo.
    Websocket,
    /// Connections that rest.
    Idle,
    /// A GET with 1, 100 and 1,000 routes.
    Routes,
    /// A GET with 3 and 100 servers.
    Upstreams,
}

impl Workload {
    pub(super) fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Get => "1 KiB GET, HTTP/1.1 kept alive",
            Self::Post => "1 KiB POST",
            Self::Download => "1 MiB download",
            Self::Http2 => "HTTP/2 in cleartext",
            Self::Tls => "TLS 1.3, kept alive",
            Self::Handshakes => "TLS 1.3, a full handshake for each request",
            Self::Websocket => "WebSocket echo",
            Self::Idle => "Idle connections",
            Self::Routes => "1, 100 and 1,000 routes",
            Self::Upstreams => "3 and 100 servers",
        }
    }

    /// What the figures are about.
    pub(super) fn explanation(self) -> &'static str {
        match self {
            Self::Get => "wrk, 64 connections.",
            Self::Post => "wrk, 64 connections; the body has a length.",
            Self::Download => "wrk, 64 connections; per download.",
            Self::Http2 => "h2load, 8 connections with 32 streams each; HTTP/1.1 to the origin.",
            Self::Tls => "wrk, 64 connections, ECDSA on P-256; cleartext to the origin.",
            Self::Handshakes => "wrk, 64 connections at a time, each closed after its answer, none resumed.",
            Self::Websocket => "64 connections, a text frame of 125 bytes and its echo at a time on each; per round trip.",
            Self::Idle => {
                "Each connection was answered once and has rested for three seconds. Memory is the proportional set size of all processes."
            }
            Self::Routes => "`/r0/` to `/r999/`, one server behind all; the last is asked for. As 1 KiB GET otherwise.",
            Self::Upstreams => "One route. As 1 KiB GET otherwise.",
        }
    }

    /// What varies within the workload; 0 where nothing does.
    pub(super) fn sizes(self) -> &'static [usize] {
        match self {
            Self::Routes => &[1, 100, 1_000],
            Self::Upstreams => &[3, 100],
            _ => &[0],
        }
    }

    pub(super) fn scene(self, size: usize) -> Scene {
        let plain = Scene::PLAIN;
        match self {
            Self::Http2 => Scene { http2: true, ..plain },
            Self::Tls | Self::Handshakes => Scene { tls: true, ..plain },
            Self::Routes => Scene { routes: size, ..plain },
            Self::Upstreams => Scene { servers: size, ..plain },
            Self::Get | Self::Post | Self::Download | Self::Websocket | Self::Idle => plain,
        }
    }

    pub(super) fn ask(self) -> Ask {
        match self {
            Self::Post => Ask::Post { bytes: 1024, answer: SMALL_BYTES },
            Self::Download => Ask::Get { path: Some(LARGE_PATH), answer: LARGE_BYTES },
            Self::Http2 => Ask::Streams,
            Self::Handshakes => Ask::Handshakes,
            Self::Websocket => Ask::Echo,
            Self::Get | Self::Tls | Self::Idle | Self::Routes | Self::Upstreams => Ask::Get { path: None, answer: SMALL_BYTES },
        }
    }

    /// Few and many requests under valgrind.
    pub(super) fn counts(self) -> [usize; 2] {
        match self {
            Self::Download | Self::Handshakes => [250, 750],
            _ => [1_000, 5_000],
        }
    }

    /// Who is measured, in the order of the table.
    pub(super) fn entries(self, peers: &[Peer]) -> Vec<Entry> {
        let able = |size: usize| peers.iter().filter(move |peer| peer.can(self)).map(move |peer| Entry { peer: *peer, size });
        self.sizes().iter().flat_map(|size| able(*size)).collect()
    }
}
