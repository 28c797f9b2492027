//! Small networks for tests, written field by field, and real ones changed.
//!
//! Numbers of fields and types: `onnx.proto3`, IR version 8, operator set 13.

#[allow(clippy::duplicate_mod)] // tests within the crate have it from there as well
#[path = "../../src/provider/protobuf.rs"]
mod protobuf;

use protobuf::Message;

/// What a tensor holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Element {
    F32 = 1,
    U8 = 2,
    I32 = 6,
    I64 = 7,
    Bool = 9,
    F16 = 10,
    Bf16 = 16,
}

/// An attribute of a node.
pub(crate) enum Attribute {
    Integer(&'static str, i64),
    Integers(&'static str, Vec<i64>),
    /// What a loop does each time.
    Body(&'static str, Network),
}

/// A network in the making.
#[derive(Default)]
pub(crate) struct Network {
    graph: Message,
}

impl Network {
    pub(crate) fn input(&mut self, name: &str, element: Element, shape: &[i64]) {
        self.graph.message(11, &value(name, element, shape));
    }

    pub(crate) fn output(&mut self, name: &str, element: Element, shape: &[i64]) {
        self.graph.message(12, &value(name, element, shape));
    }

    pub(crate) fn floats(&mut self, name: &str, shape: &[i64], numbers: &[f32]) {
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        self.constant(name, Element::F32, shape, &bytes);
    }

    pub(crate) fn integers(&mut self, name: &str, shape: &[i64], numbers: &[i64]) {
        let bytes: Vec<u8> = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
        self.constant(name, Element::I64, shape, &bytes);
    }

    /// Numbers that lie in another file.
    pub(crate) fn floats_elsewhere(&mut self, name: &str, shape: &[i64], file: &str) {
        let mut tensor = Message::default();
        for size in shape {
            tensor.integer(1, size.cast_unsigned());
        }
        tensor.integer(2, Element::F32 as u64);
        tensor.text(8, name);
        let mut place = Message::default();
        place.text(1, "location");
        place.text(2, file);
        tensor.message(13, &place);
        tensor.integer(14, 1);
        self.graph.message(5, &tensor);
    }

    fn constant(&mut self, name: &str, element: Element, shape: &[i64], bytes: &[u8]) {
        let mut tensor = Message::default();
        for size in shape {
            tensor.integer(1, size.cast_unsigned());
        }
        tensor.integer(2, element as u64);
        tensor.text(8, name);
        tensor.bytes(9, bytes);
        self.graph.message(5, &tensor);
    }

    pub(crate) fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        output: &str,
        attributes: &[Attribute],
    ) {
        let mut node = Message::default();
        for input in inputs {
            node.text(1, input);
        }
        node.text(2, output);
        node.text(3, output);
        node.text(4, operator);
        for attribute in attributes {
            let mut written = Message::default();
            match attribute {
                Attribute::Integer(name, number) => {
                    written.text(1, name);
                    written.integer(3, number.cast_unsigned());
                    written.integer(20, 2);
                }
                Attribute::Integers(name, numbers) => {
                    written.text(1, name);
                    for number in numbers {
                        written.integer(8, number.cast_unsigned());
                    }
                    written.integer(20, 7);
                }
                Attribute::Body(name, body) => {
                    let mut graph = Message(body.graph.0.clone());
                    graph.text(2, "body");
                    written.text(1, name);
                    written.message(6, &graph);
                    written.integer(20, 5);
                }
            }
            node.message(5, &written);
        }
        self.graph.message(1, &node);
    }

    /// A real network with these nodes besides, and these outputs.
    pub(crate) fn added_to(self, file: &[u8]) -> Vec<u8> {
        // What is written twice is one list, and one graph.
        let mut more = Message::default();
        more.message(7, &self.graph);
        [file, &more.0].concat()
    }

    /// The file.
    pub(crate) fn file(mut self) -> Vec<u8> {
        self.graph.text(2, "test");
        let mut operators = Message::default();
        operators.integer(2, 13);
        let mut model = Message::default();
        model.integer(1, 8);
        model.message(7, &self.graph);
        model.message(8, &operators);
        model.0
    }
}

/// Below 0: an open dimension.
fn value(name: &str, element: Element, shape: &[i64]) -> Message {
    let mut dimensions = Message::default();
    for (axis, size) in shape.iter().enumerate() {
        let mut dimension = Message::default();
        match u64::try_from(*size) {
            Ok(size) => dimension.integer(1, size),
            Err(_) => dimension.text(2, &format!("open{axis}")),
        }
        dimensions.message(1, &dimension);
    }
    let mut tensor = Message::default();
    tensor.integer(1, element as u64);
    tensor.message(2, &dimensions);
    let mut kind = Message::default();
    kind.message(1, &tensor);
    let mut value = Message::default();
    value.text(1, name);
    value.message(2, &kind);
    value
}

/// A real network that is changed so that it takes several pictures at once: the
/// first dimension of its inputs and outputs is left open. For networks that
/// have no constant of one picture inside.
pub(crate) fn with_open_batch(file: &[u8]) -> Vec<u8> {
    rewrite(file, &[7], &|graph| {
        // Shapes between the nodes would still say one.
        let graph = without(graph, 13);
        [11, 12].iter().fold(graph, |graph, list| {
            // Value → type → tensor → shape; its first dimension.
            rewrite(&graph, &[*list, 2, 1, 2], &|shape| {
                let mut is_first = true;
                let mut open = Message::default();
                for (field, content) in fields(shape) {
                    if field == 1 && std::mem::take(&mut is_first) {
                        let mut dimension = Message::default();
                        dimension.text(2, "batch");
                        open.message(1, &dimension);
                    } else {
                        open.bytes(field, content);
                    }
                }
                open.0
            })
        })
    })
}

/// Changes every message that lies at the end of a path of fields.
fn rewrite(message: &[u8], path: &[u64], change: &dyn Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    let Some((wanted, rest)) = path.split_first() else {
        return change(message);
    };
    let mut written = Vec::new();
    for (start, end, field, content) in spans(message) {
        match content {
            Some(content) if field == *wanted => {
                let mut changed = Message::default();
                changed.bytes(field, &rewrite(content, rest, change));
                written.extend(changed.0);
            }
            _ => written.extend(&message[start..end]),
        }
    }
    written
}

fn without(message: &[u8], unwanted: u64) -> Vec<u8> {
    let kept = spans(message).into_iter().filter(|span| span.2 != unwanted);
    kept.flat_map(|(start, end, ..)| message[start..end].to_vec())
        .collect()
}

fn fields(message: &[u8]) -> Vec<(u64, &[u8])> {
    let spans = spans(message).into_iter();
    spans
        .filter_map(|(_, _, field, content)| Some((field, content?)))
        .collect()
}

/// Each field of a message: where it starts and ends, its number, and its content
/// where that has a length.
fn spans(message: &[u8]) -> Vec<(usize, usize, u64, Option<&[u8]>)> {
    let mut spans = Vec::new();
    let mut at = 0;
    while at < message.len() {
        let start = at;
        let key = varint(message, &mut at);
        let content = match key & 7 {
            0 => {
                varint(message, &mut at);
                None
            }
            1 => {
                at += 8;
                None
            }
            2 => {
                let length = usize::try_from(varint(message, &mut at)).expect("a length");
                at += length;
                Some(&message[at - length..at])
            }
            5 => {
                at += 4;
                None
            }
            other => panic!("no ONNX file has wire type {other}"),
        };
        spans.push((start, at, key >> 3, content));
    }
    spans
}

fn varint(message: &[u8], at: &mut usize) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = message[*at];
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}
