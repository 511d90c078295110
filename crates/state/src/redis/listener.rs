//! Messages, on a connection of their own that subscribes again after an outage and then says that something was missed.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use redis::aio::{PubSubSink, PubSubStream};
use redis::{RedisError, RedisResult};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{interval, sleep, timeout};

use super::fault;
use super::link::CALL_TIME_MAX;
use super::topology::{CONNECT_TIME_MAX, RESPONSE_TIME_MAX, Topology};
use crate::backend::{Error, Result, Subscription};
use crate::hub::Hub;

pub(super) const CHANNEL_PREFIX: &str = "plimsoll:channel:";

const RECONNECT_PAUSE: Duration = Duration::from_millis(200);
/// A connection on which nothing happens may be dead: this finds out.
const PING_INTERVAL: Duration = Duration::from_secs(2);

/// The handle on the task; dropping it ends the task.
pub(super) struct Listener {
    hub: Arc<Hub>,
    in_force: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Listener {
    /// Costs nothing until somebody subscribes.
    pub(super) fn start(topology: Arc<Topology>, runtime: &Handle) -> Self {
        let hub = Hub::new();
        let (confirmed, in_force) = watch::channel(0);
        let feed = Feed { topology, changes: hub.generation(), hub: Arc::clone(&hub), confirmed, interrupted: false };
        Self { hub, in_force, task: runtime.spawn(feed.run()) }
    }

    pub(super) async fn subscribe(&self, channel: &str) -> Result<Subscription> {
        let subscription = self.hub.subscribe(channel)?;
        let wanted = *self.hub.generation().borrow();
        let mut in_force = self.in_force.clone();
        match timeout(CALL_TIME_MAX, in_force.wait_for(|generation| *generation >= wanted)).await {
            Ok(Ok(_)) => Ok(subscription),
            _ => Err(Error::Unavailable(format!("redis did not confirm the subscription within {} ms", CALL_TIME_MAX.as_millis()))),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the task knows.
struct Feed {
    topology: Arc<Topology>,
    hub: Arc<Hub>,
    changes: watch::Receiver<u64>,
    /// The generation of the hub's channels that Redis has confirmed; 0 while there is no connection.
    confirmed: watch::Sender<u64>,
    /// Messages may have been lost since the last connection.
    interrupted: bool,
}

impl Feed {
    async fn run(mut self) {
        loop {
            if self.hub.is_empty() {
                self.interrupted = false;
                if self.changes.changed().await.is_err() {
                    return;
                }
                continue;
            }
            if let Err(error) = self.listen().await {
                if !self.interrupted {
                    tracing::warn!(error = %fault::explain(&error), "messages are missed until redis is back");
                }
                self.interrupted = true;
                self.confirmed.send_replace(0);
                sleep(RECONNECT_PAUSE).await;
            }
        }
    }

    /// One connection, until it breaks or the last subscriber has left.
    async fn listen(&mut self) -> RedisResult<()> {
        let (mut sink, mut stream) = self.connect().await?;
        let mut subscribed = HashSet::new();
        self.follow_changes(&mut sink, &mut subscribed).await?;
        if std::mem::take(&mut self.interrupted) {
            self.hub.tell_missed();
            tracing::info!("messages arrive again");
        }
        let mut ping = interval(PING_INTERVAL);
        while !subscribed.is_empty() {
            tokio::select! {
                message = stream.next() => match message {
                    Some(message) => self.deliver(&message),
                    None => return Err(closed()),
                },
                _ = self.changes.changed() => self.follow_changes(&mut sink, &mut subscribed).await?,
                _ = ping.tick() => within(RESPONSE_TIME_MAX, sink.ping::<redis::Value>()).await.map(drop)?,
            }
        }
        self.confirmed.send_replace(0);
        Ok(())
    }

    async fn connect(&self) -> RedisResult<(PubSubSink, PubSubStream)> {
        let connect = async { self.topology.server().await?.get_async_pubsub().await };
        Ok(within(CONNECT_TIME_MAX, connect).await?.split())
    }

    /// Subscribes to what is new and unsubscribes from what nobody wants any more.
    async fn follow_changes(&mut self, sink: &mut PubSubSink, subscribed: &mut HashSet<Box<str>>) -> RedisResult<()> {
        let generation = *self.changes.borrow_and_update();
        let wanted: HashSet<Box<str>> = self.hub.channels().into_iter().collect();
        let names = |channels: Vec<&Box<str>>| channels.into_iter().map(|channel| format!("{CHANNEL_PREFIX}{channel}")).collect::<Vec<_>>();
        let (new, old) = (names(wanted.difference(subscribed).collect()), names(subscribed.difference(&wanted).collect()));
        if !new.is_empty() {
            within(RESPONSE_TIME_MAX, sink.subscribe(new)).await?;
        }
        if !old.is_empty() {
            within(RESPONSE_TIME_MAX, sink.unsubscribe(old)).await?;
        }
        *subscribed = wanted;
        self.confirmed.send_replace(generation);
        Ok(())
    }

    fn deliver(&self, message: &redis::Msg) {
        if let Some(channel) = message.get_channel_name().strip_prefix(CHANNEL_PREFIX) {
            self.hub.deliver(channel, &Bytes::copy_from_slice(message.get_payload_bytes()));
        }
    }
}

async fn within<T>(time_max: Duration, call: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    timeout(time_max, call).await.unwrap_or_else(|_| Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()))
}

fn closed() -> RedisError {
    std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()
}
