//! Which provider computed which node, by the runtime's own profile.
//!
//! The profile is a list of events in Chrome's trace format. Only those of kind `Node` count,
//! and of several inferences only those of the last: in the first a device loads its libraries
//! and looks for its fastest way, which takes longer than all the rest of the network.
//!
//! Who does the work is told by the nodes that are sums of products (`graph::is_computing`):
//! an accelerator's times are often those of handing a node over, and no measure. A subgraph
//! that an accelerator has taken over is one node in the profile, so what is in it is known from
//! the network's file: all that the processor did not compute. Where a network has no such node
//! time must do.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::Provider;
use crate::graph;

/// Share of the work from which a provider counts as doing it.
const MOST: f64 = 0.5;

/// How the work of one inference was divided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// By the runtime's name of the provider.
    by_provider: BTreeMap<String, Work>,
    /// Nodes of the network's file that are sums of products; 0 where nobody counted.
    computing_in_file: u64,
}

/// What one provider did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Work {
    nodes: u64,
    /// Those that are sums of products.
    computing: u64,
    micros: u64,
}

#[derive(Deserialize)]
struct Event {
    cat: Option<String>,
    name: Option<String>,
    ts: Option<f64>,
    dur: Option<u64>,
    args: Option<Arguments>,
}

#[derive(Deserialize)]
struct Arguments {
    provider: Option<String>,
    op_name: Option<String>,
}

impl Event {
    fn is_of(&self, kind: &str) -> bool {
        self.cat.as_deref() == Some(kind)
    }

    /// An inference as a whole, from when on.
    fn run(&self) -> Option<f64> {
        let is_run = self.is_of("Session") && self.name.as_deref() == Some("model_run");
        self.ts.filter(|_| is_run)
    }
}

impl Placement {
    /// Of a network that no other provider may have computed.
    pub(crate) fn whole(provider: Provider) -> Self {
        let all = Work {
            nodes: 1,
            computing: 1,
            micros: 1,
        };
        Self {
            by_provider: BTreeMap::from([(provider.name().to_owned(), all)]),
            computing_in_file: 0,
        }
    }

    /// Reads a profile: its last inference. `None` when it is not one, or tells of no node.
    pub fn of_profile(text: &str) -> Option<Self> {
        let events: Vec<Event> = serde_json::from_str(text).ok()?;
        let runs = events.iter().filter_map(Event::run);
        let last_run = runs.fold(f64::NEG_INFINITY, f64::max);
        let mut placement = Self::default();
        for event in events {
            let is_node = event.is_of("Node")
                // Older runtimes also write fences around each node.
                && event.name.as_ref().is_some_and(|name| name.ends_with("_kernel_time"))
                && event.ts.is_none_or(|begun| begun >= last_run);
            let Some(args) = event.args.filter(|_| is_node) else {
                continue;
            };
            let Some(provider) = args.provider.filter(|provider| !provider.is_empty()) else {
                continue;
            };
            let work = placement.by_provider.entry(provider).or_default();
            work.nodes += 1;
            work.computing += u64::from(args.op_name.as_deref().is_some_and(graph::is_computing));
            work.micros += event.dur.unwrap_or(0);
        }
        (!placement.by_provider.is_empty()).then_some(placement)
    }

    /// The same, of a network with so many sums of products.
    pub(crate) fn of_network_with(self, computing: u64) -> Self {
        Self {
            computing_in_file: computing,
            ..self
        }
    }

    fn work(&self, provider: Provider) -> Work {
        let work = self.by_provider.get(provider.name());
        work.copied().unwrap_or_default()
    }

    fn sum(&self, of: impl Fn(&Work) -> u64) -> u64 {
        self.by_provider.values().map(of).sum()
    }

    /// Nodes that `provider` computed.
    pub fn nodes(&self, provider: Provider) -> u64 {
        self.work(provider).nodes
    }

    /// Share of the time that `provider` took, 0 to 1.
    pub fn share(&self, provider: Provider) -> f64 {
        let own = self.work(provider);
        let total = self.sum(|work| work.micros);
        if own.nodes == 0 {
            0.0
        } else if total == 0 {
            // A clock too coarse for a tiny network: then nodes must do.
            own.nodes as f64 / self.sum(|work| work.nodes) as f64
        } else {
            own.micros as f64 / total as f64
        }
    }

    /// Of all sums of products, how many the processor did; none where it is not known.
    fn left_to_processor(&self) -> Option<(u64, u64)> {
        let seen = self.sum(|work| work.computing);
        let by_processor = self.work(Provider::Cpu).computing;
        // Those that are seen on the processor alone say nothing of subgraphs elsewhere.
        let is_known = self.computing_in_file > 0 || seen > by_processor;
        is_known.then(|| (by_processor, seen.max(self.computing_in_file)))
    }

    /// Whether `provider` does what it was chosen for. Glue between its parts
    /// may run on the processor; most of the work may not.
    pub fn is_done_by(&self, provider: Provider) -> bool {
        if self.nodes(provider) == 0 {
            return false;
        }
        match self.left_to_processor() {
            _ if self.nodes(Provider::Cpu) == 0 => true,
            Some((left, all)) => left as f64 <= all as f64 * (1.0 - MOST),
            None => self.share(provider) >= MOST,
        }
    }
}

impl fmt::Display for Placement {
    /// `cuda 61 node(s), 97 % of the time, cpu 4 node(s), 3 % of the time; …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.sum(|work| work.micros);
        for (index, (name, work)) in self.by_provider.iter().enumerate() {
            let word = Provider::ALL
                .into_iter()
                .find(|provider| provider.name() == name.as_str());
            let word: &str = word.map_or(name.as_str(), |provider| provider.word());
            let comma = if index > 0 { ", " } else { "" };
            let share = 100.0 * work.micros as f64 / total.max(1) as f64;
            let nodes = work.nodes;
            write!(f, "{comma}{word} {nodes} node(s), {share:.0} % of the time")?;
        }
        match self.left_to_processor() {
            Some((left, all)) if left > 0 && self.by_provider.len() > 1 => write!(
                f,
                "; of {all} convolutions and the like {left} on the processor"
            ),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(provider: &str, micros: u64) -> String {
        of_operator(provider, "Relu", micros, 0)
    }

    fn of_operator(provider: &str, operator: &str, micros: u64, at: u64) -> String {
        format!(
            r#"{{"cat":"Node","name":"n_kernel_time","ts":{at},"dur":{micros},"args":{{"provider":"{provider}","op_name":"{operator}"}}}}"#
        )
    }

    fn run(at: u64) -> String {
        format!(r#"{{"cat":"Session","name":"model_run","ts":{at},"dur":900,"args":{{}}}}"#)
    }

    fn of_events(events: &[String]) -> Placement {
        Placement::of_profile(&format!("[{}]", events.join(","))).unwrap()
    }

    fn placement(nodes: &[(Provider, u64)]) -> Placement {
        let nodes: Vec<_> = nodes.iter().map(|(p, t)| node(p.name(), *t)).collect();
        of_events(&nodes)
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

    /// One convolution of sixty on the device took longer, the first time, than the
    /// fifty-nine on the processor.
    #[test]
    fn the_first_inference_says_nothing_of_who_computes() {
        let (cuda, cpu) = (Provider::Cuda.name(), Provider::Cpu.name());
        let placement = of_events(&[
            of_operator(cuda, "Relu", 400_000, 100),
            of_operator(cpu, "Relu", 20_000, 100),
            run(90),
            of_operator(cuda, "Relu", 1, 1_000_000),
            of_operator(cpu, "Relu", 20_000, 1_000_010),
            run(999_990),
        ]);
        assert_eq!(placement.nodes(Provider::Cuda), 1);
        assert!(!placement.is_done_by(Provider::Cuda), "{placement}");
    }

    #[test]
    fn convolutions_count_and_not_the_time_that_handing_them_over_takes() {
        use Provider::{Cpu, Cuda, TensorRt};
        let convolutions = |of: [(Provider, u64, usize); 2]| {
            let nodes = of.iter().flat_map(|(provider, micros, count)| {
                let node = of_operator(provider.name(), "FusedConv", *micros, 0);
                std::iter::repeat_n(node, *count)
            });
            of_events(&nodes.collect::<Vec<_>>())
        };
        let slow_glue = convolutions([(Cuda, 10, 59), (Cpu, 9_000, 1)]);
        assert!(slow_glue.is_done_by(Cuda), "{slow_glue}");
        let one_of_sixty = convolutions([(Cuda, 90_000, 1), (Cpu, 100, 59)]);
        assert!(!one_of_sixty.is_done_by(Cuda), "{one_of_sixty}");
        let said = one_of_sixty.to_string();
        assert!(
            said.ends_with("of 60 convolutions and the like 59 on the processor"),
            "{said}"
        );
        // What is in a subgraph is what the file has and the processor did not do.
        let subgraph = |left: usize| {
            let whole = of_operator(TensorRt.name(), "TRTKernel_graph", 50, 0);
            let rest = of_operator(Cpu.name(), "Conv", 100, 0);
            let events: Vec<String> = std::iter::once(whole)
                .chain(std::iter::repeat_n(rest, left))
                .collect();
            of_events(&events).of_network_with(60)
        };
        assert!(subgraph(2).is_done_by(TensorRt));
        assert!(subgraph(30).is_done_by(TensorRt));
        assert!(!subgraph(31).is_done_by(TensorRt));
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
