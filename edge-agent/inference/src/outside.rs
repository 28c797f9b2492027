//! What a network's file would have the runtime read from other files.
//!
//! ONNX lets a tensor say "my numbers lie in that file over there". The runtime then
//! reads it from the folder in which the program was started, whatever lies there:
//! neither the manifest's SHA-256 nor a bundle's signature covers it. Newer exporters of
//! PyTorch write such files without being asked. So a network is taken only whole.
//!
//! The walk follows the message's own fields (`onnx.proto3`) to every place where a
//! tensor can stand: initializers, also sparse ones, attributes of nodes, graphs inside
//! of attributes, functions, and training. It believes no length, and what it cannot
//! read to the end is not given to the runtime, which might read it otherwise.

use std::fmt;

/// Graphs inside of graphs. The runtime's own reader ends at the same depth.
const DEEPEST: usize = 100;
/// Longest name of a file that is told, in characters.
const LONGEST_NAME: usize = 80;

/// How to make a whole one.
pub(crate) const NEXT: &str = "save it in one file (Python: `onnx.save(onnx.load(\"model.onnx\"), \"whole.onnx\")`; PyTorch: \
     `torch.onnx.export(…, external_data=False)`) and write that file's name and SHA-256 into its model.toml";

/// Why a file is not a whole network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotWhole {
    /// Numbers lie in another file, of this name.
    Outside(String),
    /// It is not as ONNX files are, and what of it a runtime would read is not known.
    Form(&'static str),
}

impl fmt::Display for NotWhole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Outside(name) => write!(
                f,
                "has weights in another file (`{name}`), which no SHA-256 and no signature vouches for"
            ),
            Self::Form(what) => f.write_str(what),
        }
    }
}

/// Refuses a network of which a part lies in another file, or that cannot be walked through.
pub(crate) fn look(network: &[u8]) -> Result<(), NotWhole> {
    walk(Kind::Model, network, DEEPEST)
}

/// The name of another file in which a part of this one lies. None where there is no
/// such part, and of what is no network at all, which the runtime never gets to read.
pub(crate) fn named(network: &[u8]) -> Option<NotWhole> {
    let found = look(network).err()?;
    matches!(found, NotWhole::Outside(_)).then_some(found)
}

/// The same of a file on the disk.
pub(crate) fn named_in(file: &std::path::Path) -> std::io::Result<Option<NotWhole>> {
    Ok(named(&std::fs::read(file)?))
}

/// The messages on the way to a tensor.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Model,
    Training,
    Function,
    Graph,
    Node,
    Attribute,
    Sparse,
    Tensor,
}

impl Kind {
    /// What a field of it holds, where that may have a tensor in it.
    const fn inner(self, field: u32) -> Option<Self> {
        Some(match (self, field) {
            (Self::Model, 7) | (Self::Training, 1 | 2) | (Self::Attribute, 6 | 11) => Self::Graph,
            (Self::Model, 20) => Self::Training,
            (Self::Model, 25) => Self::Function,
            (Self::Function, 7) | (Self::Graph, 1) => Self::Node,
            (Self::Function, 11) | (Self::Node, 5) => Self::Attribute,
            (Self::Graph, 5) | (Self::Attribute, 5 | 10) | (Self::Sparse, 1 | 2) => Self::Tensor,
            (Self::Graph, 15) | (Self::Attribute, 22 | 23) => Self::Sparse,
            _ => return None,
        })
    }
}

fn walk(kind: Kind, message: &[u8], depth: usize) -> Result<(), NotWhole> {
    let deeper = depth.checked_sub(1);
    let deeper = deeper.ok_or(NotWhole::Form("its graphs lie too deep in each other"))?;
    for field in Fields(message) {
        let (number, value) = field?;
        match (kind, number, value) {
            // `data_location`. A number is cut to 32 bits by some readers and not by others.
            (Kind::Tensor, 14, Value::Number(place)) if place != 0 => {
                return Err(NotWhole::Outside(location(message)));
            }
            // `external_data`, whatever `data_location` says.
            (Kind::Tensor, 13, Value::Bytes(_)) => {
                return Err(NotWhole::Outside(location(message)));
            }
            // What was compiled for an accelerator may lie elsewhere as well.
            (Kind::Node, 4, Value::Bytes(b"EPContext")) if !is_embedded(message) => {
                return Err(NotWhole::Outside("ep_cache_context".to_owned()));
            }
            (_, _, Value::Bytes(bytes)) => {
                if let Some(inner) = kind.inner(number) {
                    walk(inner, bytes, deeper)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a node says that what it was compiled to lies in it, which is also the default.
fn is_embedded(node: &[u8]) -> bool {
    let attributes = Fields(node).flatten();
    let attributes = attributes.filter_map(|field| match field {
        (5, Value::Bytes(attribute)) => Some(attribute),
        _ => None,
    });
    let mut modes = attributes.filter(|attribute| {
        Fields(attribute)
            .flatten()
            .any(|field| field == (1, Value::Bytes(b"embed_mode")))
    });
    modes.all(|attribute| {
        let mut numbers = Fields(attribute).flatten().filter(|(field, _)| *field == 3);
        // A 0 may be left out.
        let first = numbers.next();
        first.is_some()
            && first
                .into_iter()
                .chain(numbers)
                .all(|n| n != (3, Value::Number(0)))
    })
}

/// The file that a tensor names, fit to be shown.
fn location(tensor: &[u8]) -> String {
    let text = |message, wanted| {
        let mut fields = Fields(message).flatten();
        fields.find_map(|field| match field {
            (number, Value::Bytes(bytes)) if number == wanted => Some(bytes),
            _ => None,
        })
    };
    let mut entries = Fields(tensor).flatten().filter_map(|field| match field {
        (13, Value::Bytes(entry)) => Some(entry),
        _ => None,
    });
    let place = entries.find(|entry| text(entry, 1) == Some(b"location"));
    let name = String::from_utf8_lossy(place.and_then(|entry| text(entry, 2)).unwrap_or_default());
    if name.is_empty() {
        return "it does not say which".to_owned();
    }
    let shown: String = name.chars().take(LONGEST_NAME).collect();
    shown.escape_debug().to_string()
}

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value<'m> {
    Number(u64),
    Bytes(&'m [u8]),
    /// Four or eight bytes; no message on the way to a tensor has a meaning for them.
    Fixed,
}

/// The fields of a message, until its end or the first that is none.
pub(crate) struct Fields<'m>(pub(crate) &'m [u8]);

impl<'m> Iterator for Fields<'m> {
    type Item = Result<(u32, Value<'m>), NotWhole>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let read = self.field();
        if read.is_none() {
            self.0 = &[];
        }
        Some(read.ok_or(NotWhole::Form("it is cut, or no protobuf message")))
    }
}

impl<'m> Fields<'m> {
    fn field(&mut self) -> Option<(u32, Value<'m>)> {
        let tag = u32::try_from(self.number()?).ok()?;
        let field = tag >> 3;
        if field == 0 {
            return None;
        }
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            1 => self.take(8).map(|_| Value::Fixed)?,
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Value::Fixed)?,
            // Groups: ONNX has none, and readers differ in where they end.
            _ => return None,
        };
        Some((field, value))
    }

    /// Seven bits in a byte, the lowest first; ten bytes at most.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..70).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn take(&mut self, count: usize) -> Option<&'m [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::protobuf::Message;

    fn inside(field: u64, message: &Message) -> Message {
        let mut outer = Message::default();
        // Something before and behind, of every wire type.
        outer.text(3000, "a name");
        outer.0.extend([0xfd, 0x7f, 1, 2, 3, 4]);
        outer.message(field, message);
        outer.0.extend([0xf9, 0x7f, 1, 2, 3, 4, 5, 6, 7, 8]);
        outer.integer(4000, u64::MAX);
        outer
    }

    /// A tensor at the end of a path of fields, from the file on.
    fn at(path: &[u64], tensor: &Message) -> Vec<u8> {
        let innermost = Message(tensor.0.clone());
        let file = path
            .iter()
            .rev()
            .fold(innermost, |m, field| inside(*field, &m));
        file.0
    }

    fn entry(key: &str, value: &str) -> Message {
        let mut entry = Message::default();
        entry.text(1, key);
        entry.text(2, value);
        entry
    }

    fn elsewhere() -> Message {
        let mut tensor = Message::default();
        tensor.text(8, "w");
        tensor.message(13, &entry("offset", "0"));
        tensor.message(13, &entry("location", "w2.bin"));
        tensor.integer(14, 1);
        tensor
    }

    const GRAPH: u64 = 7;
    const NODE: u64 = 1;
    const ATTRIBUTE: u64 = 5;

    #[test]
    fn weights_in_another_file_are_found_wherever_a_tensor_can_stand() {
        for path in [
            &[GRAPH, 5][..],
            &[GRAPH, 15, 1],
            &[GRAPH, 15, 2],
            &[GRAPH, NODE, ATTRIBUTE, 5],
            &[GRAPH, NODE, ATTRIBUTE, 10],
            &[GRAPH, NODE, ATTRIBUTE, 22, 1],
            &[GRAPH, NODE, ATTRIBUTE, 23, 2],
            // Bodies of loops and branches, and those in them.
            &[GRAPH, NODE, ATTRIBUTE, 6, 5],
            &[GRAPH, NODE, ATTRIBUTE, 11, NODE, ATTRIBUTE, 6, 15, 1],
            // Functions, with the defaults of their attributes.
            &[25, 7, ATTRIBUTE, 5],
            &[25, 11, 5],
            // Graphs for training.
            &[20, 1, 5],
            &[20, 2, NODE, ATTRIBUTE, 5],
        ] {
            let found = look(&at(path, &elsewhere()));
            assert_eq!(
                found,
                Err(NotWhole::Outside("w2.bin".to_owned())),
                "{path:?}"
            );
            let mut within = Message::default();
            within.bytes(9, &elsewhere().0);
            within.integer(14, 0);
            // Numbers that look like it are numbers.
            assert_eq!(look(&at(path, &within)), Ok(()), "{path:?}");
        }
    }

    #[test]
    fn half_of_the_words_for_it_is_enough() {
        let mut only_place = Message::default();
        only_place.integer(14, 1);
        // 1 where numbers are cut to 32 bits.
        let mut cut = Message::default();
        cut.integer(14, (1 << 32) + 1);
        let mut only_name = Message::default();
        only_name.message(13, &entry("location", "\u{1b}[2Jw"));
        only_name.integer(14, 0);
        // The last word counts for some readers.
        let mut twice = Message::default();
        twice.integer(14, 1);
        twice.integer(14, 0);
        let nameless = "it does not say which";
        for (tensor, name) in [
            (only_place, nameless),
            (cut, nameless),
            (only_name, "\\u{1b}[2Jw"),
            (twice, nameless),
        ] {
            let found = look(&at(&[GRAPH, 5], &tensor));
            assert_eq!(found, Err(NotWhole::Outside(name.to_owned())));
        }
    }

    #[test]
    fn what_was_compiled_for_an_accelerator_must_lie_in_the_file() {
        let node = |mode: Option<Option<u64>>| {
            let mut node = Message::default();
            node.text(4, "EPContext");
            if let Some(mode) = mode {
                let mut attribute = Message::default();
                attribute.text(1, "embed_mode");
                if let Some(mode) = mode {
                    attribute.integer(3, mode);
                }
                node.message(ATTRIBUTE, &attribute);
            }
            look(&at(&[GRAPH, NODE], &node))
        };
        for whole in [None, Some(Some(1))] {
            assert_eq!(node(whole), Ok(()));
        }
        for outside in [Some(None), Some(Some(0))] {
            assert_eq!(
                node(outside),
                Err(NotWhole::Outside("ep_cache_context".to_owned()))
            );
        }
    }

    #[test]
    fn what_cannot_be_read_to_its_end_is_not_whole_and_nothing_ends_the_program() {
        let mut file = Message::default();
        file.bytes(GRAPH, &at(&[NODE, ATTRIBUTE, 6, 5], &elsewhere()));
        for end in 1..file.0.len() {
            let found = look(&file.0[..end]);
            assert!(
                matches!(found, Err(NotWhole::Form(_))),
                "{end} bytes: {found:?}"
            );
        }
        let deep = (0..100).fold(Message::default(), |m, _| {
            let mut attribute = Message::default();
            attribute.message(6, &m);
            let mut node = Message::default();
            node.message(ATTRIBUTE, &attribute);
            let mut graph = Message::default();
            graph.message(NODE, &node);
            graph
        });
        let forms: [&[u8]; 7] = [
            &inside(GRAPH, &deep).0,
            // A length beyond the end, and one beyond every end.
            &[0x3a, 5, 0],
            &[
                0x3a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
            ],
            // A number without an end.
            &[
                0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
            ],
            // Field 0, a group, and a wire type that there is not.
            &[0x00, 0x00],
            &[0x3b, 0x3c],
            &[0x3f],
        ];
        for form in forms {
            assert!(matches!(look(form), Err(NotWhole::Form(_))));
        }
        assert_eq!(look(&[]), Ok(()));
        assert_eq!(named(b"not really a network"), None);
    }
}
