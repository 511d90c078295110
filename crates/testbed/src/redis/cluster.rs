//! Three masters that share the slots.

use anyhow::{Context, Result};

use super::{Redis, START_TIME_MAX, must};
use crate::{poll, port};

const NODES: u32 = 3;
const SLOTS: u32 = 16_384;

/// A cluster without replicas.
pub struct Cluster {
    pub nodes: Vec<Redis>,
}

impl Cluster {
    pub fn start() -> Result<Self> {
        let start_node = |_| {
            let bus = port::free().to_string();
            let node = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "1500"];
            Ok((Redis::start_with(&node)?, bus))
        };
        let nodes: Vec<(Redis, String)> = (0..NODES).map(start_node).collect::<Result<_>>()?;
        for (number, (node, _)) in (0..).zip(&nodes) {
            let (first, end) = (SLOTS * number / NODES, SLOTS * (number + 1) / NODES);
            must(node.port(), &format!("CLUSTER ADDSLOTSRANGE {first} {}", end - 1))?;
        }
        for (node, bus) in &nodes[1..] {
            must(nodes[0].0.port(), &format!("CLUSTER MEET 127.0.0.1 {} {bus}", node.port()))?;
        }
        let cluster = Self { nodes: nodes.into_iter().map(|(node, _)| node).collect() };
        poll::until_blocking(START_TIME_MAX, "the cluster to agree", || Ok(cluster.is_whole().then_some(())))?;
        Ok(cluster)
    }

    pub fn url(&self) -> String {
        let nodes: Vec<String> = self.nodes.iter().map(|node| format!("127.0.0.1:{}", node.port())).collect();
        format!("redis+cluster://{}", nodes.join(","))
    }

    /// Hands the slot of `key`, which must be empty, to the next node.
    pub fn move_slot_of(&self, key: &str) -> Result<()> {
        let slot = self.nodes[0].command(&format!("CLUSTER KEYSLOT {key}"))?;
        let slot: u32 = slot.trim_start_matches(':').parse()?;
        let owner = (0..NODES).find(|number| slot < SLOTS * (number + 1) / NODES).context("a slot has an owner")?;
        let next = (owner + 1) % NODES;
        let id = self.nodes[next as usize].command("CLUSTER MYID")?;
        // The new owner first: it takes over, then the old one lets go.
        for node in [next, owner, (owner + 2) % NODES] {
            must(self.nodes[node as usize].port(), &format!("CLUSTER SETSLOT {slot} NODE {id}"))?;
        }
        Ok(())
    }

    /// Every node sees all slots served.
    pub fn is_whole(&self) -> bool {
        let agrees = |node: &Redis| {
            let info = node.command("CLUSTER INFO").unwrap_or_default();
            info.contains("cluster_state:ok") && info.contains(&format!("cluster_known_nodes:{NODES}"))
        };
        self.nodes.iter().all(agrees)
    }
}
