//! Hands messages to the subscribers of this process. Every backend ends here, wherever its messages come from.
//!
//! A slow subscriber costs nobody else anything: its queue is bounded, and what does not fit is lost and said so with one
//! [`Message::Missed`] at the place of the loss.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use crate::backend::{Error, Message, Result, Subscription};

/// Messages that wait for one subscriber.
const QUEUE_LENGTH: usize = 256;
const SUBSCRIBERS_MAX: usize = 100_000;

/// The subscribers of one store handle.
pub(crate) struct Hub {
    rooms: Mutex<Rooms>,
    /// Grows with every change to the set of channels.
    generation: watch::Sender<u64>,
}

#[derive(Default)]
struct Rooms {
    channels: HashMap<Box<str>, Vec<Subscriber>>,
    subscribers: usize,
    last_id: u64,
}

struct Subscriber {
    id: u64,
    queue: mpsc::Sender<Message>,
    /// The last thing queued was [`Message::Missed`]: further losses are already told.
    told_missed: bool,
}

impl Hub {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { rooms: Mutex::default(), generation: watch::Sender::new(0) })
    }

    /// Adds a subscriber. What is delivered from now on reaches it.
    pub(crate) fn subscribe(self: &Arc<Self>, channel: &str) -> Result<Subscription> {
        let mut rooms = self.rooms();
        if rooms.subscribers >= SUBSCRIBERS_MAX {
            return Err(Error::Unavailable(format!("there are {SUBSCRIBERS_MAX} subscribers already")));
        }
        rooms.subscribers += 1;
        rooms.last_id += 1;
        let id = rooms.last_id;
        // The slot above QUEUE_LENGTH is kept for `Missed`, so that a loss can always be told.
        let (queue, receiver) = mpsc::channel(QUEUE_LENGTH + 1);
        let subscribers = rooms.channels.entry(channel.into()).or_default();
        subscribers.push(Subscriber { id, queue, told_missed: false });
        if subscribers.len() == 1 {
            self.generation.send_modify(|generation| *generation += 1);
        }
        Ok(Subscription { receiver, _membership: Membership { hub: Arc::downgrade(self), channel: channel.into(), id } })
    }

    pub(crate) fn deliver(&self, channel: &str, bytes: &Bytes) {
        if let Some(subscribers) = self.rooms().channels.get_mut(channel) {
            for subscriber in subscribers {
                subscriber.send(bytes);
            }
        }
    }

    /// Tells every subscriber that messages may have been lost.
    pub(crate) fn tell_missed(&self) {
        self.rooms().channels.values_mut().flatten().for_each(Subscriber::tell_missed);
    }

    pub(crate) fn channels(&self) -> Vec<Box<str>> {
        self.rooms().channels.keys().cloned().collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rooms().channels.is_empty()
    }

    /// Changes when the first subscriber of a channel comes or its last one leaves.
    pub(crate) fn generation(&self) -> watch::Receiver<u64> {
        self.generation.subscribe()
    }

    fn leave(&self, channel: &str, id: u64) {
        let mut rooms = self.rooms();
        let Some(subscribers) = rooms.channels.get_mut(channel) else { return };
        subscribers.retain(|subscriber| subscriber.id != id);
        let deserted = subscribers.is_empty();
        rooms.subscribers -= 1;
        if deserted {
            rooms.channels.remove(channel);
            self.generation.send_modify(|generation| *generation += 1);
        }
    }

    fn rooms(&self) -> MutexGuard<'_, Rooms> {
        // Nothing here can panic half-way through a change.
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscriber {
    fn send(&mut self, bytes: &Bytes) {
        if self.queue.capacity() > 1 && self.queue.try_send(Message::Data(bytes.clone())).is_ok() {
            self.told_missed = false;
        } else {
            self.tell_missed();
        }
    }

    fn tell_missed(&mut self) {
        // Only this side adds, and data never takes the last slot: it is free unless the subscriber has been told, or is gone.
        if !self.told_missed {
            self.told_missed = self.queue.try_send(Message::Missed).is_ok();
        }
    }
}

/// Ends a subscription when it is dropped.
pub(crate) struct Membership {
    hub: Weak<Hub>,
    channel: Box<str>,
    id: u64,
}

impl Drop for Membership {
    fn drop(&mut self) {
        if let Some(hub) = self.hub.upgrade() {
            hub.leave(&self.channel, self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_slow_subscriber_is_told_once_where_it_missed_something() {
        let hub = Hub::new();
        let mut slow = hub.subscribe("news").unwrap();
        for number in 0..QUEUE_LENGTH + 10 {
            hub.deliver("news", &Bytes::from(number.to_string()));
        }
        for number in 0..QUEUE_LENGTH {
            assert_eq!(slow.next().await, Some(Message::Data(number.to_string().into())));
        }
        hub.deliver("news", &Bytes::from_static(b"later"));
        assert_eq!(slow.next().await, Some(Message::Missed));
        assert_eq!(slow.next().await, Some(Message::Data(Bytes::from_static(b"later"))));
    }

    #[tokio::test]
    async fn a_subscriber_that_leaves_is_forgotten_and_the_last_one_ends_the_channel() {
        let hub = Hub::new();
        let generation = hub.generation();
        let (first, second) = (hub.subscribe("news").unwrap(), hub.subscribe("news").unwrap());
        assert_eq!(*generation.borrow(), 1);
        drop(first);
        assert_eq!(hub.channels(), [Box::<str>::from("news")]);
        drop(second);
        assert!(hub.is_empty());
        assert_eq!(*generation.borrow(), 2);
        assert_eq!(hub.rooms().subscribers, 0);
    }

    #[tokio::test]
    async fn subscriptions_end_with_the_store() {
        let hub = Hub::new();
        let mut subscription = hub.subscribe("news").unwrap();
        hub.deliver("news", &Bytes::from_static(b"last words"));
        drop(hub);
        assert_eq!(subscription.next().await, Some(Message::Data(Bytes::from_static(b"last words"))));
        assert_eq!(subscription.next().await, None);
    }
}
