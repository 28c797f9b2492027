//! What a network's file says of its nodes: the last step to one of its outputs, and how many
//! are sums of products, which is what takes the time.
//!
//! A manifest that has a softmax taken of what has passed one already makes all
//! classes nearly alike, and one picture's numbers cannot tell that for certain.
//! The file can: the node that makes the output is written in it. It is read as
//! plain protobuf (`onnx.proto3`); whatever is not understood says nothing, and
//! whether the file is sound is for the runtime to say.

use std::collections::{BTreeMap, BTreeSet};

use crate::outside::{Fields, Value};

/// Operators that change where a number stands, or how it is written, and not what it is.
const PASSING: [&str; 11] = [
    "Cast",
    "Concat",
    "DequantizeLinear",
    "Flatten",
    "Identity",
    "QuantizeLinear",
    "Reshape",
    "Slice",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
];

/// Whether there is a node in it at all: then it is a network, whatever else is wrong with it.
pub(crate) fn has_nodes(file: &[u8]) -> bool {
    nodes(file).next().is_some()
}

/// Whether every number of `output` has passed a softmax or a sigmoid, and nothing after it.
pub(crate) fn ends_in_probabilities(file: &[u8], output: &str) -> bool {
    let nodes: Vec<Node<'_>> = nodes(file).collect();
    let makers: BTreeMap<&[u8], &Node<'_>> = nodes
        .iter()
        .flat_map(|node| node.outputs.iter().map(move |output| (*output, node)))
        .collect();
    let (mut open, mut seen) = (vec![output.as_bytes()], BTreeSet::new());
    let mut is_found = false;
    while let Some(tensor) = open.pop() {
        if !seen.insert(tensor) {
            continue;
        }
        let Some(node) = makers.get(tensor) else {
            return false;
        };
        match node.operator {
            b"Softmax" | b"Sigmoid" => is_found = true,
            b"Concat" => open.extend(&node.inputs),
            // What else goes into these are shapes, axes and scales.
            operator if PASSING.iter().any(|name| name.as_bytes() == operator) => {
                open.extend(node.inputs.first());
            }
            _ => return false,
        }
    }
    is_found
}

/// Operators that are most of the work of every network, as ONNX has them and as ONNX Runtime
/// calls what it makes of them.
const COMPUTING: [&str; 16] = [
    "Attention",
    "Conv",
    "ConvInteger",
    "ConvTranspose",
    "FusedConv",
    "FusedGemm",
    "FusedMatMul",
    "GRU",
    "Gemm",
    "LSTM",
    "MatMul",
    "MatMulInteger",
    "NhwcConv",
    "NhwcFusedConv",
    "QLinearConv",
    "QLinearMatMul",
];

/// Whether an operator is one of those that are most of the work.
pub(crate) fn is_computing(operator: &str) -> bool {
    COMPUTING.contains(&operator)
}

/// How many nodes of a network's file are.
pub(crate) fn computing_nodes(file: &[u8]) -> u64 {
    let operators = nodes(file).map(|node| node.operator);
    let computing =
        operators.filter(|operator| std::str::from_utf8(operator).is_ok_and(is_computing));
    computing.count() as u64
}

fn nodes(file: &[u8]) -> impl Iterator<Item = Node<'_>> {
    fields(file)
        .filter(|(field, _)| *field == 7)
        .flat_map(|(_, graph)| fields(graph))
        .filter(|(field, _)| *field == 1)
        .map(|(_, node)| Node::read(node))
}

/// A node of the graph.
#[derive(Default)]
struct Node<'a> {
    inputs: Vec<&'a [u8]>,
    outputs: Vec<&'a [u8]>,
    operator: &'a [u8],
}

impl<'a> Node<'a> {
    fn read(message: &'a [u8]) -> Self {
        let mut node = Self::default();
        for (field, value) in fields(message) {
            match field {
                1 => node.inputs.push(value),
                2 => node.outputs.push(value),
                4 => node.operator = value,
                _ => {}
            }
        }
        node
    }
}

/// The fields of a message that have a length: texts, bytes and messages.
fn fields(message: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let read = Fields(message).flatten();
    read.filter_map(|(field, value)| match value {
        Value::Bytes(bytes) => Some((field, bytes)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes as operator, inputs, output.
    fn file(nodes: &[(&str, &[&str], &str)]) -> Vec<u8> {
        let field = |number: u8, content: &[u8]| {
            let mut bytes = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
            bytes.extend(content);
            bytes
        };
        let mut graph = Vec::new();
        for (operator, inputs, output) in nodes {
            let mut node: Vec<u8> = inputs
                .iter()
                .flat_map(|input| field(1, input.as_bytes()))
                .collect();
            node.extend(field(2, output.as_bytes()));
            node.extend(field(4, operator.as_bytes()));
            graph.extend(field(1, &node));
        }
        // IR version 8 comes before the graph.
        let mut file = vec![1 << 3, 8];
        file.extend(field(7, &graph));
        file
    }

    #[test]
    fn the_last_step_to_an_output_is_found_behind_what_changes_no_number() {
        let softmax: (&str, &[&str], &str) = ("Softmax", &["logits"], "p");
        for (nodes, expected) in [
            (vec![("Gemm", &["x"][..], "y")], false),
            (vec![softmax, ("Identity", &["p"], "y")], true),
            (vec![softmax, ("Reshape", &["p", "shape"], "y")], true),
            (vec![softmax, ("Mul", &["p", "two"], "y")], false),
            // A logarithm makes logits of them again.
            (vec![softmax, ("Log", &["p"], "y")], false),
            (
                vec![
                    softmax,
                    ("Sigmoid", &["z"], "q"),
                    ("Concat", &["p", "q"], "y"),
                ],
                true,
            ),
            (vec![softmax, ("Concat", &["p", "logits"], "y")], false),
            // An input that goes out as it came in.
            (vec![softmax], false),
        ] {
            assert_eq!(
                ends_in_probabilities(&file(&nodes), "y"),
                expected,
                "{nodes:?}"
            );
        }
    }

    #[test]
    fn what_computes_is_counted_by_its_operator() {
        let nodes: [(&str, &[&str], &str); 4] = [
            ("Conv", &["x", "w"], "a"),
            ("Relu", &["a"], "b"),
            ("MatMul", &["b", "v"], "c"),
            ("Convert", &["c"], "y"),
        ];
        assert_eq!(computing_nodes(&file(&nodes)), 2);
        assert_eq!(computing_nodes(&[0xff; 64]), 0);
    }

    #[test]
    fn a_file_that_is_cut_or_none_says_nothing_and_breaks_nothing() {
        let whole = file(&[("Softmax", &["logits"], "p"), ("Identity", &["p"], "y")]);
        assert!(ends_in_probabilities(&whole, "y"));
        for length in 0..whole.len() {
            assert!(!ends_in_probabilities(&whole[..length], "y"), "{length}");
        }
        assert!(!ends_in_probabilities(&[0xff; 64], "y"));
        // Round in a circle, through more ways than anybody could walk.
        let circle: (&str, &[&str], &str) = ("Concat", &["y", "y"], "y");
        assert!(!ends_in_probabilities(&file(&[circle; 6]), "y"));
    }
}
