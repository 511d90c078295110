//! From SRV records (RFC 2782) to servers: priorities stay, weights are scaled to what the balancer takes.

use std::collections::HashMap;
use std::net::IpAddr;

use plimsoll_gateway::balance::Weight;

/// One SRV record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Record {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) target: Target,
    /// As far as they came with the record.
    pub(super) addresses: Vec<IpAddr>,
}

/// A host, and the port of the service there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
}

/// The weights of all records, by position. Weights matter among those of one priority, so each priority is scaled alone, and only if it
/// must be; zero, "a very small chance", is the least there is.
pub(super) fn weights(records: &[Record]) -> Vec<u32> {
    let limit = Weight::MAX.get();
    let mut heaviest: HashMap<u16, u32> = HashMap::new();
    for record in records {
        let known = heaviest.entry(record.priority).or_default();
        *known = (*known).max(record.weight.into());
    }
    let scaled = |record: &Record| {
        let (weight, heaviest) = (u32::from(record.weight), heaviest[&record.priority]);
        let weight = if heaviest <= limit { weight } else { (weight * limit + heaviest / 2) / heaviest };
        weight.max(1)
    };
    records.iter().map(scaled).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record((priority, weight): (u16, u16)) -> Record {
        Record { priority, weight, target: Target { host: "a.".to_owned(), port: 80 }, addresses: Vec::new() }
    }

    fn weighed(records: &[(u16, u16)]) -> Vec<u32> {
        weights(&records.iter().copied().map(record).collect::<Vec<_>>())
    }

    #[test]
    fn weights_keep_their_proportions_within_a_priority() {
        assert_eq!(weighed(&[(0, 5), (0, 1)]), [5, 1]);
        assert_eq!(weighed(&[(0, 0), (0, 0)]), [1, 1]);
        assert_eq!(weighed(&[(0, 0), (0, 100)]), [1, 100]);
        assert_eq!(weighed(&[(0, 65_535), (0, 32_768), (0, 1)]), [256, 128, 1]);
        assert_eq!(weighed(&[(0, 10), (1, 1_024), (1, 512)]), [10, 256, 128]);
    }

    proptest! {
        #[test]
        fn every_weight_is_one_that_the_balancer_takes(records in prop::collection::vec((0_u16..3, any::<u16>()), 0..20)) {
            let weights = weighed(&records);
            prop_assert_eq!(weights.len(), records.len());
            for (one, (priority, weight)) in weights.iter().zip(&records) {
                prop_assert!(Weight::try_from(*one).is_ok());
                for (other, (other_priority, other_weight)) in weights.iter().zip(&records) {
                    prop_assert!(priority != other_priority || weight < other_weight || one >= other);
                }
            }
        }
    }
}
