//! Which provider computed which node, by the runtime's own profile.
//!
//! The profile is a list of events in Chrome's trace format. Only those of kind
//! `Node` count; a subgraph that an accelerator has taken over is one node in
//! it, so shares are told as time, not as a number of nodes.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::Provider;

/// Share of the time from which a provider counts as doing the work.
const MOST: f64 = 0.5;

/// How the work of one inference was divided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Nodes and microseconds by the runtime's name of the provider.
    by_provider: BTreeMap<String, (u64, u64)>,
}

#[derive(Deserialize)]
struct Event {
    cat: Option<String>,
    name: Option<String>,
    dur: Option<u64>,
    args: Option<Arguments>,
}

#[derive(Deserialize)]
struct Arguments {
    provider: Option<String>,
}

impl Placement {
    /// Of a network that only the processor may have computed.
    pub(crate) fn processor() -> Self {
        Self {
            by_provider: BTreeMap::from([(Provider::Cpu.name().to_owned(), (1, 1))]),
        }
    }

    /// Reads a profile. `None` when it is not one, or tells of no node.
    pub fn of_profile(text: &str) -> Option<Self> {
        let events: Vec<Event> = serde_json::from_str(text).ok()?;
        let mut placement = Self::default();
        for event in events {
            let is_node = event.cat.as_deref() == Some("Node")
                // Older runtimes also write fences around each node.
                && event.name.is_some_and(|name| name.ends_with("_kernel_time"));
            let provider = event.args.and_then(|args| args.provider);
            if let (true, Some(provider)) = (is_node, provider.filter(|p| !p.is_empty())) {
                let (nodes, micros) = placement.by_provider.entry(provider).or_default();
                *nodes += 1;
                *micros += event.dur.unwrap_or(0);
            }
        }
        (!placement.by_provider.is_empty()).then_some(placement)
    }

    /// Nodes that `provider` computed.
    pub fn nodes(&self, provider: Provider) -> u64 {
        self.by_provider
            .get(provider.name())
            .map_or(0, |(nodes, _)| *nodes)
    }

    /// Share of the time that `provider` took, 0 to 1.
    pub fn share(&self, provider: Provider) -> f64 {
        let total: u64 = self.by_provider.values().map(|(_, micros)| micros).sum();
        let own = self.by_provider.get(provider.name());
        match own {
            None => 0.0,
            // A clock too coarse for a tiny network: then nodes must do.
            Some((nodes, _)) if total == 0 => {
                let all: u64 = self.by_provider.values().map(|(nodes, _)| nodes).sum();
                *nodes as f64 / all as f64
            }
            Some((_, micros)) => *micros as f64 / total as f64,
        }
    }

    /// Whether `provider` does what it was chosen for. Glue between its parts
    /// may run on the processor; most of the work may not.
    pub fn is_done_by(&self, provider: Provider) -> bool {
        self.nodes(provider) > 0 && (self.nodes(Provider::Cpu) == 0 || self.share(provider) >= MOST)
    }
}

impl fmt::Display for Placement {
    /// `cuda 61 nodes, cpu 4 nodes (3 % of the time)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: u64 = self.by_provider.values().map(|(_, micros)| micros).sum();
        for (index, (name, (nodes, micros))) in self.by_provider.iter().enumerate() {
            let word = Provider::ALL
                .into_iter()
                .find(|provider| provider.name() == name.as_str());
            let word: &str = word.map_or(name.as_str(), |provider| provider.word());
            let comma = if index > 0 { ", " } else { "" };
            let share = 100.0 * *micros as f64 / total.max(1) as f64;
            write!(f, "{comma}{word} {nodes} node(s), {share:.0} % of the time")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(provider: &str, micros: u64) -> String {
        format!(
            r#"{{"cat":"Node","name":"n_kernel_time","dur":{micros},"args":{{"provider":"{provider}","op_name":"Conv"}}}}"#
        )
    }

    fn placement(nodes: &[(Provider, u64)]) -> Placement {
        let nodes: Vec<_> = nodes.iter().map(|(p, t)| node(p.name(), *t)).collect();
        Placement::of_profile(&format!("[{}]", nodes.join(","))).unwrap()
    }

    #[test]
    fn a_provider_that_leaves_most_of_the_work_to_the_processor_does_not_do_it() {
        use Provider::{Cpu, Cuda};
        for (nodes, is_done) in [
            (&[(Cuda, 100)][..], true),
            (&[(Cuda, 90), (Cpu, 10)], true),
            (&[(Cuda, 10), (Cpu, 90)], false),
            (&[(Cpu, 90)], false),
            // A clock that stands still.
            (&[(Cuda, 0), (Cuda, 0), (Cpu, 0)], true),
        ] {
            assert_eq!(placement(nodes).is_done_by(Cuda), is_done, "{nodes:?}");
        }
        let text = placement(&[(Cuda, 90), (Cpu, 10)]).to_string();
        assert_eq!(
            text,
            "cpu 1 node(s), 10 % of the time, cuda 1 node(s), 90 % of the time"
        );
    }

    #[test]
    fn what_is_no_profile_is_none() {
        for text in [
            "",
            "{}",
            "[]",
            "[{\"cat\":\"Session\"}]",
            "[1]",
            "[{\"cat\":\"Node\"}]",
        ] {
            assert_eq!(Placement::of_profile(text), None, "{text}");
        }
    }
}
