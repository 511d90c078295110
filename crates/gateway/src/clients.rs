//! How many connections each client address has open, over all workers.
//!
//! Looked at when a connection opens and when it closes, never for a request. There is an entry for as long as an address has a
//! connection, so the cap on connections bounds the map too.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Workers that accept at the same moment seldom want the same one.
const SHARDS: usize = 64;

/// Whom an address belongs to. An IPv6 client has a /64, the smallest network that is given to anybody, and any address in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Owner {
    V4(u32),
    V6(u64),
}

impl Owner {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

type Shard = HashMap<Owner, usize, RandomState>;

pub(crate) struct Clients {
    /// Its keys are secret, so nobody can choose addresses that meet in one place.
    hasher: RandomState,
    shards: [Mutex<Shard>; SHARDS],
}

impl Clients {
    pub(crate) fn new() -> Arc<Self> {
        let hasher = RandomState::new();
        let shards = std::array::from_fn(|_| Mutex::new(Shard::with_hasher(hasher.clone())));
        Arc::new(Self { hasher, shards })
    }

    /// Counts a connection until what is returned is dropped; `None` if its owner has as many as it may.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr, max: usize) -> Option<Entered> {
        let owner = Owner::of(address);
        let mut shard = self.shard(owner);
        let count = shard.entry(owner).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Entered { clients: Arc::clone(self), owner })
    }

    fn shard(&self, owner: Owner) -> MutexGuard<'_, Shard> {
        let number = self.hasher.hash_one(owner) as usize % SHARDS;
        self.shards[number].lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    fn owners(&self) -> usize {
        self.shards.iter().map(|shard| shard.lock().unwrap().len()).sum()
    }
}

/// A connection that is counted.
pub(crate) struct Entered {
    clients: Arc<Clients>,
    owner: Owner,
}

impl Drop for Entered {
    fn drop(&mut self) {
        let mut shard = self.clients.shard(self.owner);
        if let Some(count) = shard.get_mut(&self.owner) {
            *count -= 1;
            if *count == 0 {
                shard.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_ipv6_client_is_its_network_and_an_ipv4_client_its_address_however_it_is_written() {
        let clients = Clients::new();
        let _first = clients.enter(address("2001:db8::1"), 1).unwrap();
        assert!(clients.enter(address("2001:db8::ffff:ffff:ffff:ffff"), 1).is_none());
        let _next_door = clients.enter(address("2001:db8:0:1::1"), 1).unwrap();
        let _mapped = clients.enter(address("::ffff:192.0.2.1"), 1).unwrap();
        assert!(clients.enter(address("192.0.2.1"), 1).is_none());
        let _neighbour = clients.enter(address("192.0.2.2"), 1).unwrap();
        assert_eq!(clients.owners(), 4);
    }

    #[test]
    fn nobody_may_have_none() {
        let clients = Clients::new();
        assert!(clients.enter(address("192.0.2.1"), 0).is_none());
    }

    proptest! {
        #[test]
        fn counts_are_exact_and_nobody_is_remembered_who_has_left(steps in prop::collection::vec((0_u8..6, any::<bool>()), 0..200)) {
            const MAX: usize = 3;
            let clients = Clients::new();
            let mut open: BTreeMap<u8, Vec<Entered>> = BTreeMap::new();
            for (who, opens) in steps {
                let mine = open.entry(who).or_default();
                if opens {
                    let entered = clients.enter(IpAddr::from([192, 0, 2, who]), MAX);
                    prop_assert_eq!(entered.is_some(), mine.len() < MAX);
                    mine.extend(entered);
                } else {
                    mine.pop();
                }
                prop_assert_eq!(clients.owners(), open.values().filter(|mine| !mine.is_empty()).count());
            }
        }
    }
}
