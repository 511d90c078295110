//! Which line an exchange gets, with the head of its request on it.

use plimsoll_policy::clock;
use tokio::time::{Instant, timeout_at};

use super::Terms;
use super::line::Line;
use crate::config::Protocol;
use crate::failure::Failure;
use crate::http1::encode;
use crate::pool::Connection;
use crate::secure::Offer;
use crate::upstream::Member;
use crate::upstream_http2::{Way, Wish};

pub(super) struct Opened {
    pub(super) line: Line,
    /// What had left on this connection before this request.
    pub(super) bytes_before: u64,
    /// How long it took to open; 0 if it was there.
    pub(super) connect_us: u32,
}

/// A kept connection, or a stream of one, or a new one.
pub(super) async fn line(terms: &Terms<'_>, member: &Member) -> Result<Opened, Failure> {
    if member.protocol != Protocol::Http2
        && let Some(connection) = terms.pool.take(member.slot, terms.reuse)
    {
        return Ok(http1(terms, connection, 0));
    }
    let began = clock::now();
    let limit = began + terms.timeouts.connect;
    let ends = terms.request.deadline.map_or(limit, |deadline| deadline.min(limit));
    let connected = match member.protocol {
        Protocol::Http1 => own(member, ends).await,
        // Boxed: most futures of requests need no room for it.
        Protocol::Http2 | Protocol::Auto => Box::pin(shared(terms, member, ends)).await,
    };
    let connect_us = || u32::try_from(clock::since(began).as_micros()).unwrap_or(u32::MAX);
    match connected {
        Ok(Way::Http1(transport)) => Ok(http1(terms, Connection::new(transport), connect_us())),
        Ok(Way::Stream(stream)) => Ok(Opened { bytes_before: 0, line: Line::Http2(stream), connect_us: connect_us() }),
        Err(Failure::ConnectTimeout | Failure::Full) if ends < limit => Err(Failure::DeadlinePassed),
        Err(failure) => Err(failure),
    }
}

fn http1(terms: &Terms<'_>, mut connection: Box<Connection>, connect_us: u32) -> Opened {
    encode::request_head(&mut connection.wire.out.front, terms.request, terms.hop);
    Opened { bytes_before: connection.wire.out.bytes_total, line: Line::Http1(connection), connect_us }
}

/// Other protocols than WebSocket are for HTTP/1.1 alone, and so is a WebSocket where the instance takes none on streams (RFC 8441).
async fn shared(terms: &Terms<'_>, member: &Member, ends: Instant) -> Result<Way, Failure> {
    let upgrade = terms.request.upgrade.as_deref();
    if upgrade.is_some_and(|protocol| !protocol.eq_ignore_ascii_case(b"websocket")) {
        return own(member, ends).await;
    }
    let Terms { request, hop, pool, reuse, .. } = *terms;
    match pool.group(member.slot).begin(Wish { request, hop, member, reuse, ends }).await? {
        Some(way) => Ok(way),
        None => own(member, ends).await,
    }
}

/// A connection that nobody shares.
async fn own(member: &Member, ends: Instant) -> Result<Way, Failure> {
    timeout_at(ends, member.connect(Offer::Http1)).await.unwrap_or(Err(Failure::ConnectTimeout)).map(Way::Http1)
}
