//! A tiny network, written here byte by byte, to try a provider with.
//!
//! ONNX is a protobuf message; the few fields that a convolution needs are
//! fewer lines than a dependency. Numbers of fields: `onnx.proto3`, IR version 8,
//! operator set 13, which every runtime from 1.13 on reads.

use super::protobuf::Message;

/// Side of the picture that goes in.
pub(super) const SIDE: usize = 16;
/// Channels of the picture, and of what comes out.
pub(super) const CHANNELS: usize = 3;
/// Name of the input.
pub(super) const INPUT: &str = "x";
/// Name of the output.
pub(super) const OUTPUT: &str = "y";

const KERNEL: usize = 3;

/// `y = relu(conv(x))`, 3×3, padded: what every detector is made of, and what
/// every accelerator has.
pub(super) fn convolution() -> Vec<u8> {
    let mut graph = Message::default();
    let mut conv = Message::default();
    for input in [INPUT, "w"] {
        conv.text(1, input);
    }
    conv.text(2, "between");
    conv.text(3, "convolution");
    conv.text(4, "Conv");
    conv.message(5, &integers("kernel_shape", &[KERNEL, KERNEL]));
    conv.message(5, &integers("pads", &[1, 1, 1, 1]));
    graph.message(1, &conv);
    let mut relu = Message::default();
    relu.text(1, "between");
    relu.text(2, OUTPUT);
    relu.text(3, "rectifier");
    relu.text(4, "Relu");
    graph.message(1, &relu);
    graph.text(2, "probe");
    graph.message(5, &weights());
    graph.message(11, &picture(INPUT));
    graph.message(12, &picture(OUTPUT));

    let mut operators = Message::default();
    operators.integer(2, 13);
    let mut model = Message::default();
    model.integer(1, 8);
    model.message(7, &graph);
    model.message(8, &operators);
    model.0
}

/// An attribute that is a list of integers.
fn integers(name: &str, values: &[usize]) -> Message {
    let mut attribute = Message::default();
    attribute.text(1, name);
    for value in values {
        attribute.integer(8, *value as u64);
    }
    // AttributeProto.AttributeType.INTS
    attribute.integer(20, 7);
    attribute
}

/// Different in every place, of both signs, and exact in half precision.
fn weights() -> Message {
    let mut tensor = Message::default();
    for size in [CHANNELS, CHANNELS, KERNEL, KERNEL] {
        tensor.integer(1, size as u64);
    }
    tensor.integer(2, 1);
    let count = CHANNELS * CHANNELS * KERNEL * KERNEL;
    let numbers: Vec<u8> = (0..count)
        .flat_map(|index| ((index * 7 % 17) as f32 / 16.0 - 0.5).to_le_bytes())
        .collect();
    tensor.text(8, "w");
    tensor.bytes(9, &numbers);
    tensor
}

fn picture(name: &str) -> Message {
    let mut shape = Message::default();
    for size in [1, CHANNELS, SIDE, SIDE] {
        let mut dimension = Message::default();
        dimension.integer(1, size as u64);
        shape.message(1, &dimension);
    }
    let mut tensor = Message::default();
    tensor.integer(1, 1);
    tensor.message(2, &shape);
    let mut kind = Message::default();
    kind.message(1, &tensor);
    let mut value = Message::default();
    value.text(1, name);
    value.message(2, &kind);
    value
}
