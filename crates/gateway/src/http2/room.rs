//! What the answers of one connection may hold for a client that does not take them.
//!
//! The library bounds what it queues for each stream. A client may have many streams and many connections, so here is a bound for all streams
//! of a connection together, in two parts. What is queued has been let through by the client's windows: it leaves as soon as the socket takes
//! it, and if the socket takes nothing, nobody on this connection can go on anyway. So all wait for the same thing, and in one line: the library
//! wakes those whose frames it has just written first, who would otherwise fill the room again each time before the others look.
//! What is pending was fetched for a window that then closed. When there is too much of it, further pieces are fetched in small ones: a stream
//! that is taken is never held up by others that are not.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Of what is queued, and again of what is pending.
const BYTES_MAX: usize = 256 * 1024;
/// What is fetched for a stream at a time: while there is room, and while there is none.
const FETCHED_BYTES: usize = 64 * 1024;
const FETCHED_BYTES_SMALL: usize = 8 * 1024;

/// One for each connection.
#[derive(Debug, Default)]
pub(super) struct Room {
    queued: Cell<usize>,
    pending: Cell<usize>,
    /// Who waits, by tickets that only grow. Only the first is woken, and wakes the second.
    line: RefCell<VecDeque<(u64, Waker)>>,
    tickets: Cell<u64>,
}

impl Room {
    /// Everything that was queued has left.
    pub(super) fn drained(&self) {
        self.queued.set(0);
        let mut line = self.line.borrow_mut();
        match line.front() {
            Some((_, waker)) => waker.wake_by_ref(),
            // A connection that rests needs no room.
            None => *line = VecDeque::new(),
        }
    }

    fn has_place(&self) -> bool {
        self.queued.get() < BYTES_MAX
    }

    fn wake_first(&self) {
        if self.has_place()
            && let Some((_, waker)) = self.line.borrow().front()
        {
            waker.wake_by_ref();
        }
    }

    fn enter(&self, waker: Waker) -> u64 {
        let ticket = self.tickets.get();
        self.tickets.set(ticket + 1);
        self.line.borrow_mut().push_back((ticket, waker));
        ticket
    }

    /// Whose turn it was, or who goes before it comes.
    fn leave(&self, ticket: u64) {
        self.line.borrow_mut().retain(|(each, _)| *each != ticket);
        self.wake_first();
    }
}

/// The part that one stream takes.
#[derive(Debug)]
pub(crate) struct Share {
    room: Rc<Room>,
    pending: usize,
    /// Its place in the line.
    ticket: Option<u64>,
}

impl Share {
    pub(super) fn of(room: Rc<Room>) -> Self {
        Self { room, pending: 0, ticket: None }
    }

    /// Ready when more may be queued. It must be asked by the same task every time.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let room = &self.room;
        let first = room.line.borrow().front().map(|(ticket, _)| *ticket);
        if room.has_place() && (first.is_none() || first == self.ticket) {
            if let Some(ticket) = self.ticket.take() {
                room.leave(ticket);
            }
            return Poll::Ready(());
        }
        if self.ticket.is_none() {
            self.ticket = Some(room.enter(cx.waker().clone()));
        }
        Poll::Pending
    }

    /// How much may be fetched next.
    pub(super) fn fetches(&self) -> usize {
        if self.room.pending.get() < BYTES_MAX { FETCHED_BYTES } else { FETCHED_BYTES_SMALL }
    }

    /// So much of what was fetched has not been queued.
    pub(super) fn holds(&mut self, pending: usize) {
        let others = self.room.pending.get() - self.pending;
        self.room.pending.set(others + pending);
        self.pending = pending;
    }

    pub(super) fn queued(&self, count: usize) {
        self.room.queued.set(self.room.queued.get() + count);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.holds(0);
        if let Some(ticket) = self.ticket {
            self.room.leave(ticket);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::woken::Woken;

    #[test]
    fn who_finds_no_room_is_woken_once_for_each_drain() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        let room = Rc::new(Room::default());
        let mut share = Share::of(Rc::clone(&room));
        assert!(share.poll_room(&mut cx).is_ready());
        for drains in 1..4 {
            share.queued(BYTES_MAX);
            assert!((0..3).all(|_| share.poll_room(&mut cx).is_pending()));
            room.drained();
            assert_eq!(woken.times(), drains);
        }
        assert!(share.poll_room(&mut cx).is_ready());
    }

    /// As the library does it: those whose frames it has just written ask first.
    #[test]
    fn whoever_asks_first_everyone_gets_a_turn() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        let room = Rc::new(Room::default());
        let mut shares: Vec<Share> = (0..10).map(|_| Share::of(Rc::clone(&room))).collect();
        let mut turns = [0; 10];
        for _ in 0..100 {
            for (share, turns) in shares.iter_mut().zip(&mut turns) {
                while share.poll_room(&mut cx).is_ready() {
                    share.queued(FETCHED_BYTES);
                    *turns += 1;
                }
            }
            room.drained();
        }
        let (least, most) = (turns.iter().min().unwrap(), turns.iter().max().unwrap());
        assert!(*least > 20 && most - least <= 4, "{turns:?}");
    }

    #[test]
    fn who_goes_before_its_turn_lets_the_next_one_have_it() {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        let room = Rc::new(Room::default());
        let [mut first, mut second] = [(), ()].map(|()| Share::of(Rc::clone(&room)));
        first.queued(BYTES_MAX);
        assert!(first.poll_room(&mut cx).is_pending() && second.poll_room(&mut cx).is_pending());
        room.drained();
        assert!(second.poll_room(&mut cx).is_pending());
        drop(first);
        assert_eq!(woken.times(), 2);
        assert!(second.poll_room(&mut cx).is_ready());
    }

    #[test]
    fn where_much_is_pending_pieces_are_small_until_it_is_gone() {
        let room = Rc::new(Room::default());
        let mut stalled = Share::of(Rc::clone(&room));
        let other = Share::of(room);
        stalled.holds(BYTES_MAX);
        assert_eq!((stalled.fetches(), other.fetches()), (FETCHED_BYTES_SMALL, FETCHED_BYTES_SMALL));
        drop(stalled);
        assert_eq!(other.fetches(), FETCHED_BYTES);
    }

    proptest! {
        /// However streams come, fetch, stall and go: what a connection holds is bounded, and nothing is counted that is not held.
        #[test]
        fn what_is_pending_is_bounded(steps in prop::collection::vec((0_usize..128, any::<bool>()), 0..500)) {
            let room = Rc::new(Room::default());
            let mut shares: Vec<Option<Share>> = (0..128).map(|_| None).collect();
            for (stream, goes) in steps {
                if goes {
                    shares[stream] = None;
                    continue;
                }
                let share = shares[stream].get_or_insert_with(|| Share::of(Rc::clone(&room)));
                if share.pending == 0 {
                    share.holds(share.fetches());
                }
                prop_assert!(room.pending.get() <= BYTES_MAX + FETCHED_BYTES + 128 * FETCHED_BYTES_SMALL);
            }
            drop(shares);
            prop_assert_eq!(room.pending.get(), 0);
        }
    }
}
