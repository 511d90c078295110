//! Consistent hashing without a ring: every member scores every key, the best score wins (weighted rendezvous hashing).
//!
//! When a member leaves, exactly its own keys move, each to that key's second best; when it returns, exactly those come back. Nothing is
//! stored and nothing rebuilt. A pick reads one short row per member: about a nanosecond each while the weights are equal.

use super::schedule::Weight;

/// The position of a key, or of a member's name, on every machine and in every release: FNV-1a with a final mix.
///
/// Not keyed: who may choose keys can aim at one member, as with every published consistent hash.
pub fn hash_key(bytes: &[u8]) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    mix(bytes.iter().fold(OFFSET, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME)))
}

/// What a member's scores depend on: its name and weight, never its position in the list.
#[derive(Debug)]
pub(super) struct Place {
    hash: u64,
    weight: f64,
}

impl Place {
    pub(super) fn new(id: &str, weight: Weight) -> Self {
        Self { hash: hash_key(id.as_bytes()), weight: f64::from(weight.get()) }
    }

    fn draw(&self, key: u64) -> u64 {
        mix(key ^ self.hash)
    }
}

/// The eligible member that scores best for `key`. Eligibility is asked only of members that would win.
pub(super) fn choose(places: &[Place], equal_weights: bool, eligible: impl Fn(usize) -> bool, key: u64) -> Option<usize> {
    if equal_weights {
        best(places, eligible, |place| place.draw(key))
    } else {
        // The winner of exponential draws with these rates is distributed by weight. Positive floats sort as their bits do.
        best(places, eligible, |place| {
            let uniform = ((place.draw(key) >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
            (place.weight / -uniform.ln()).to_bits()
        })
    }
}

fn best(places: &[Place], eligible: impl Fn(usize) -> bool, score: impl Fn(&Place) -> u64) -> Option<usize> {
    let mut best = None;
    for (member, place) in places.iter().enumerate() {
        let score = score(place);
        if best.is_none_or(|(_, leading)| score > leading) && eligible(member) {
            best = Some((member, score));
        }
    }
    best.map(|(member, _)| member)
}

/// Every input bit changes half of the output bits (the finalizer of `SplitMix64`).
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: usize = 60_000;

    fn owners(places: &[Place], equal: bool, eligible: impl Fn(usize) -> bool) -> Vec<usize> {
        (0..KEYS).map(|key| choose(places, equal, &eligible, hash_key(format!("user-{key}").as_bytes())).unwrap()).collect()
    }

    fn places(weights: &[u32]) -> Vec<Place> {
        let place = |(number, weight): (usize, &u32)| Place::new(&format!("api-{number}"), Weight::try_from(*weight).unwrap());
        weights.iter().enumerate().map(place).collect()
    }

    fn share(owners: &[usize], member: usize) -> f64 {
        owners.iter().filter(|owner| **owner == member).count() as f64 / owners.len() as f64
    }

    #[test]
    fn the_hash_is_the_same_in_every_process_and_release() {
        assert_eq!(hash_key(b""), 0xf52a_15e9_a9b5_e89b);
        assert_eq!(hash_key(b"user-1"), 14_166_554_182_431_137_624);
    }

    #[test]
    fn only_the_keys_of_the_member_that_leaves_move() {
        let places = places(&[1; 10]);
        let before = owners(&places, true, |_| true);
        let after = owners(&places, true, |member| member != 4);
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count() as f64 / KEYS as f64;
        assert!((0.09..0.11).contains(&moved), "{moved} of the keys moved");
        assert!(before.iter().zip(&after).all(|(before, after)| before == after || *before == 4));
    }

    #[test]
    fn a_member_keeps_its_keys_wherever_it_stands_in_the_list() {
        let mut places = places(&[1; 5]);
        let before = owners(&places, true, |_| true);
        places.reverse();
        let after = owners(&places, true, |_| true);
        assert!(before.iter().zip(&after).all(|(before, after)| *before == 4 - *after));
    }

    #[test]
    fn keys_spread_evenly_or_by_weight() {
        let even = owners(&places(&[1; 10]), true, |_| true);
        for member in 0..10 {
            let share = share(&even, member);
            assert!((0.095..0.105).contains(&share), "member {member} has {share}");
        }
        let weighted = owners(&places(&[1, 2, 7]), false, |_| true);
        for (member, expected) in [(0, 0.1), (1, 0.2), (2, 0.7)] {
            let share = share(&weighted, member);
            assert!((share - expected).abs() < 0.01, "member {member} has {share}");
        }
    }
}
