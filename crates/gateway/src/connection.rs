//! A connection before its first request: whose it is, whether it may stay, and what is spoken on it.
//!
//! In this order, each step before what costs more: the PROXY header, since the caps are about the client it names; the caps; the TLS
//! handshake; the version of HTTP.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::BytesMut;
use plimsoll_policy::Reason;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::clients::Entered;
use crate::config::{Config, Speaks};
use crate::http1::Wire;
use crate::http1::server::Server;
use crate::http2;
use crate::peer::{Channel, Peer};
use crate::plan::Plan;
use crate::proxy_protocol::{self, Header};
use crate::stats::EdgeStats;
use crate::tls;
use crate::transport::Transport;
use crate::worker::Worker;

/// How long, and for how many bytes, a client that still sends is listened to after its answer, so that the answer is not lost in a reset.
pub(crate) const LINGER_TIME: Duration = Duration::from_secs(2);
pub(crate) const LINGER_BYTES: usize = 1024 * 1024;
/// Connections beyond a cap that one worker tells so at a time; further ones are closed without a word.
const TURNED_AWAY_MAX: u32 = 256;
/// How long a handshake may go on once the gateway drains.
const HANDSHAKE_GRACE: Duration = Duration::from_secs(1);

/// A connection from its first packet to its last. Steps that few connections take are boxed, or all would carry their room along.
pub(crate) async fn serve(worker: Rc<Worker>, mut stream: TcpStream, address: SocketAddr, speaks: Speaks) {
    let edge = Arc::clone(&worker.edge);
    edge.connections_total.fetch_add(1, Relaxed);
    let open = edge.connections.fetch_add(1, Relaxed) + 1;
    let closed = Closed(edge);
    // Without it the last, partly filled packet of an answer waits for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let plan = worker.plan();
    let Some(address) = announced(&worker, &mut stream, address).await else { return };
    if open > plan.config.limits.connections_max as u64 {
        // It takes no place while it is being told, or those turned away would keep out others.
        drop(closed);
        let Some(_place) = TurnedAway::enter(&worker) else { return };
        let Some((transport, channel)) = receive(&worker, &plan, stream, address, speaks).await else { return };
        let peer = Peer::new(address.ip(), channel, &plan.config.trusted_proxies);
        return Box::pin(turn_away(worker, transport, peer, Reason::TooManyConnections)).await;
    }
    let Ok(_entered) = enter(&worker, address.ip(), &plan.config) else {
        drop(closed);
        return Box::pin(refuse_crowd(worker, &plan, stream, address, speaks)).await;
    };
    let Some((mut transport, channel)) = receive(&worker, &plan, stream, address, speaks).await else { return };
    let peer = Peer::new(address.ip(), channel, &plan.config.trusted_proxies);
    // A connection may outlive many plans.
    drop(plan);
    match http2::sniff(&mut transport, &worker).await {
        http2::Sniffed::Http1(prefix) => Server::new(worker, Wire::new(transport, prefix), peer).run().await,
        http2::Sniffed::Http2(prefix) => Box::pin(http2::serve(worker, transport, prefix, peer)).await,
        http2::Sniffed::Gone => {}
    }
}

/// Makes a connection one on which HTTP is spoken.
async fn receive(worker: &Worker, plan: &Plan, stream: TcpStream, address: SocketAddr, speaks: Speaks) -> Option<(Transport, Channel)> {
    if speaks == Speaks::Http {
        return Some((stream.into(), Channel::Plain));
    }
    // Without certificates any more: a reload has taken them away.
    let tls = plan.config.tls.as_ref()?;
    let lines = tls::Lines { client: address.ip(), seldom: &worker.unbelieved };
    let hurried = async {
        worker.drain.clone().idle_ends().await;
        sleep(HANDSHAKE_GRACE).await;
    };
    tokio::select! {
        biased;
        // Boxed: connections without TLS would carry its room along.
        received = Box::pin(tls::receive(tls, stream, plan.config.timeouts.head, &worker.edge.handshakes, lines)) => received,
        () = hurried => None,
    }
}

/// A place among the connections of this client; an error if it has as many as it may. Who speaks for many has no cap.
fn enter(worker: &Worker, address: IpAddr, config: &Config) -> Result<Option<Entered>, ()> {
    let max = config.limits.connections_per_client_max;
    if max == 0 || config.trusted_proxies.contains(address) {
        return Ok(None);
    }
    let entered = worker.clients.enter(address, max);
    if entered.is_none()
        && let Some(left_out) = worker.crowds.take()
    {
        let setting = Reason::TooManyFromClient.setting();
        tracing::warn!(client = %address, max, setting, left_out, "a client wants more connections than it may have: refused");
    }
    entered.map(Some).ok_or(())
}

/// Tells a client that it has enough connections. Not over TLS: a handshake is what an attacker would like to be given.
async fn refuse_crowd(worker: Rc<Worker>, plan: &Plan, stream: TcpStream, address: SocketAddr, speaks: Speaks) {
    let place = if speaks == Speaks::Http { TurnedAway::enter(&worker) } else { None };
    if place.is_none() {
        return worker.edge.count_refusal(Reason::TooManyFromClient);
    }
    let peer = Peer::new(address.ip(), Channel::Plain, &plan.config.trusted_proxies);
    turn_away(worker, stream.into(), peer, Reason::TooManyFromClient).await;
}

async fn turn_away(worker: Rc<Worker>, transport: Transport, peer: Rc<Peer>, reason: Reason) {
    Server::new(worker, Wire::new(transport, BytesMut::new()), peer).turn_away(reason).await;
}

/// Whose connection it is: the peer's, or that of whom a trusted peer passes on. `None`: it must say so, and did not.
async fn announced(worker: &Worker, stream: &mut TcpStream, address: SocketAddr) -> Option<SocketAddr> {
    let plan = worker.plan();
    if !plan.config.proxy_protocol {
        return Some(address);
    }
    let header = if plan.config.trusted_proxies.contains(address.ip()) {
        let header = timeout(plan.config.timeouts.head, proxy_protocol::take(stream)).await;
        header.map_err(|_| "its PROXY header did not come in time".to_owned()).and_then(|header| header.map_err(|error| error.to_string()))
    } else {
        Err("gateway.trusted_proxies does not hold its address".to_owned())
    };
    match header {
        Ok(Header::Of(client)) => Some(client),
        Ok(Header::Own) => Some(address),
        Err(reason) => {
            if let Some(left_out) = worker.unannounced.take() {
                tracing::warn!(peer.address = %address, reason, left_out, "connection closed: gateway.proxy_protocol is on");
            }
            None
        }
    }
}

/// A connection beyond the cap that is being told so.
struct TurnedAway(Rc<Worker>);

impl TurnedAway {
    fn enter(worker: &Rc<Worker>) -> Option<Self> {
        let count = worker.turned_away.get();
        if count >= TURNED_AWAY_MAX {
            return None;
        }
        worker.turned_away.set(count + 1);
        Some(Self(Rc::clone(worker)))
    }
}

impl Drop for TurnedAway {
    fn drop(&mut self) {
        self.0.turned_away.set(self.0.turned_away.get() - 1);
    }
}

struct Closed(Arc<EdgeStats>);

impl Drop for Closed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // A bug, and this connection's end; the others go on.
            self.0.count_refusal(Reason::Internal);
            tracing::error!("a connection's task panicked");
        }
        self.0.connections.fetch_sub(1, Relaxed);
    }
}
