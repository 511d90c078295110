//! Who is in the list of an upstream, and who is on the way out of it. A server is its address.
//!
//! Whoever is no longer listed drains: what it works on is finished, nothing new comes, and after a while it is gone. If it is listed again
//! before that, it is as if nothing had happened.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_gateway::Endpoint;
use tokio::time::Instant;

use super::Found;

/// Servers of one upstream; further ones are left out.
const SERVERS_MAX: usize = 1_024;

pub(super) struct Roster {
    drain: Duration,
    entries: Vec<Entry>,
}

struct Entry {
    id: Arc<str>,
    found: Found,
    /// When it is gone; `None` while it is listed.
    gone_at: Option<Instant>,
}

/// What a change of the list came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Change {
    /// Listed, but beyond what fits.
    pub(super) left_out: usize,
}

impl Roster {
    pub(super) fn new(drain: Duration) -> Self {
        Self { drain, entries: Vec::new() }
    }

    /// Takes over a whole list. The first of several entries for one address counts.
    pub(super) fn take(&mut self, listed: impl IntoIterator<Item = Found>, now: Instant) -> Change {
        let mut known = std::mem::take(&mut self.entries);
        let mut ids = HashSet::new();
        let mut change = Change::default();
        for found in listed {
            let id: Arc<str> = found.address.to_string().into();
            if ids.contains(&id) {
                continue;
            }
            if ids.len() == SERVERS_MAX {
                change.left_out += 1;
                continue;
            }
            ids.insert(Arc::clone(&id));
            self.entries.push(Entry { id, found, gone_at: None });
        }
        known.retain(|entry| !ids.contains(&entry.id));
        for entry in &mut known {
            entry.gone_at.get_or_insert(now + self.drain);
        }
        // A list that is another one every time must not fill the memory: those that have drained for longest make room.
        known.sort_by_key(|entry| entry.gone_at);
        self.entries.extend(known.drain(known.len().saturating_sub(SERVERS_MAX)..));
        self.sweep(now);
        change
    }

    /// Drops those whose time is over.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.entries.retain(|entry| entry.gone_at.is_none_or(|gone_at| gone_at > now));
    }

    /// When the next one is gone.
    pub(super) fn next_sweep(&self) -> Option<Instant> {
        self.entries.iter().filter_map(|entry| entry.gone_at).min()
    }

    pub(super) fn endpoints(&self) -> Vec<Endpoint> {
        let endpoint = |entry: &Entry| Endpoint {
            id: Arc::clone(&entry.id),
            generation: 0,
            address: entry.found.address.clone(),
            weight: entry.found.weight,
            priority: entry.found.priority,
            draining: entry.gone_at.is_some(),
        };
        self.entries.iter().map(endpoint).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use plimsoll_gateway::Address;
    use proptest::prelude::*;

    use super::*;

    const DRAIN: Duration = Duration::from_secs(30);

    fn found(port: u16) -> Found {
        Found { address: Address::Tcp(SocketAddr::from(([10, 0, 0, 1], port))), weight: 1, priority: 0 }
    }

    /// Ports, negative for those that drain.
    fn shown(roster: &Roster) -> Vec<i32> {
        let shown = |endpoint: Endpoint| {
            let Address::Tcp(address) = endpoint.address else { panic!("only TCP here") };
            i32::from(address.port()) * if endpoint.draining { -1 } else { 1 }
        };
        roster.endpoints().into_iter().map(shown).collect()
    }

    #[test]
    fn who_vanishes_drains_and_is_then_gone() {
        let (mut roster, now) = (Roster::new(DRAIN), Instant::now());
        roster.take([1, 2, 3].map(found), now);
        roster.take([2].map(found), now);
        assert_eq!(shown(&roster), [2, -1, -3]);
        assert_eq!(roster.next_sweep(), Some(now + DRAIN));
        // The end is not put off by further lists.
        roster.take([2].map(found), now + DRAIN / 2);
        roster.sweep(now + DRAIN);
        assert_eq!((shown(&roster), roster.next_sweep()), (vec![2], None));
    }

    #[test]
    fn who_comes_back_in_time_never_left() {
        let (mut roster, now) = (Roster::new(DRAIN), Instant::now());
        roster.take([1, 2].map(found), now);
        let before = roster.endpoints();
        roster.take([2].map(found), now);
        roster.take([1, 2].map(found), now + DRAIN / 2);
        assert_eq!(roster.endpoints(), before, "the gateway takes them for the same");
        roster.sweep(now + DRAIN * 2);
        assert_eq!(shown(&roster), [1, 2]);
    }

    #[test]
    fn a_new_weight_is_no_new_server_and_two_entries_are_one() {
        let (mut roster, now) = (Roster::new(DRAIN), Instant::now());
        roster.take([found(1), Found { weight: 9, ..found(1) }], now);
        assert_eq!((shown(&roster), roster.endpoints()[0].weight), (vec![1], 1));
        roster.take([Found { weight: 5, ..found(1) }], now);
        assert_eq!((shown(&roster), roster.endpoints()[0].weight), (vec![1], 5));
    }

    #[test]
    fn there_is_a_limit_and_what_is_beyond_it_is_counted() {
        let mut roster = Roster::new(DRAIN);
        assert_eq!(roster.take((1..=1_030).map(found), Instant::now()), Change { left_out: 6 });
        assert_eq!(shown(&roster).len(), SERVERS_MAX);
    }

    #[test]
    fn a_list_that_is_always_another_one_stays_within_bounds() {
        let (mut roster, now) = (Roster::new(DRAIN), Instant::now());
        for round in 0..30 {
            roster.take((1..=256).map(|port| found(round * 256 + port)), now);
        }
        assert_eq!(shown(&roster).len(), 256 + SERVERS_MAX);
    }

    proptest! {
        #[test]
        fn the_list_is_in_force_at_once_and_nobody_is_in_it_twice(lists in prop::collection::vec(prop::collection::vec(1_u16..9, 0..9), 1..12)) {
            let (mut roster, start) = (Roster::new(DRAIN), Instant::now());
            for (step, list) in lists.into_iter().enumerate() {
                let now = start + DRAIN / 3 * step as u32;
                roster.take(list.iter().copied().map(found), now);
                let mut seen: Vec<_> = shown(&roster).iter().map(|port| port.abs()).collect();
                seen.sort_unstable();
                prop_assert!(seen.windows(2).all(|pair| pair[0] < pair[1]));
                for port in 1..9 {
                    prop_assert_eq!(shown(&roster).contains(&i32::from(port)), list.contains(&port));
                }
                prop_assert!(roster.next_sweep().is_none_or(|at| at > now && at <= now + DRAIN));
            }
        }
    }
}
