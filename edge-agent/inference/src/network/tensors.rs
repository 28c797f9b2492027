//! What goes into the runtime and what comes out of it: numbers of the types
//! that manifests and heads know.

use half::f16;
use half::slice::HalfFloatSliceExt as _;
use models::heads::{Shape, names};
use models::{
    ElementType, Input, Letterbox, Manifest, Padding, PictureError, PictureView, TensorView,
};
use ort::session::{Session, SessionInputValue, SessionOutputs};
use ort::value::{DynValue, TensorElementType, TensorRef, ValueType};

use crate::error::DetectorError;

/// An input tensor with room for several pictures.
#[derive(Debug)]
pub(super) struct Tensor {
    numbers: Numbers,
    /// Numbers of one picture.
    length: usize,
    /// What is written around the picture of each place.
    paddings: Vec<Padding>,
}

#[derive(Debug)]
enum Numbers {
    F32(Vec<f32>),
    F16 {
        numbers: Vec<f16>,
        /// Room for one picture before it is halved.
        single: Vec<f32>,
        padding: Padding,
    },
    U8(Vec<u8>),
}

impl Tensor {
    /// Room for `places` pictures; black, whatever that means to the network.
    pub(super) fn new(input: &Input, places: usize) -> Self {
        let length = input.len();
        let numbers = match input.element {
            ElementType::F32 => Numbers::F32(vec![0.0; length * places]),
            ElementType::F16 => Numbers::F16 {
                numbers: vec![f16::ZERO; length * places],
                single: vec![0.0; length],
                padding: Padding::default(),
            },
            ElementType::U8 => Numbers::U8(vec![0; length * places]),
        };
        Self {
            numbers,
            length,
            paddings: vec![Padding::default(); places],
        }
    }

    /// Writes a picture into its place.
    pub(super) fn fill(
        &mut self,
        place: usize,
        letterbox: &mut Letterbox,
        picture: PictureView<'_>,
    ) -> Result<(), PictureError> {
        let range = place * self.length..(place + 1) * self.length;
        let around = &mut self.paddings[place];
        match &mut self.numbers {
            Numbers::F32(numbers) => letterbox.fill_within(picture, &mut numbers[range], around),
            Numbers::F16 {
                numbers,
                single,
                padding,
            } => {
                letterbox.fill_within(picture, single, padding)?;
                numbers[range].convert_from_f32_slice(single);
                Ok(())
            }
            Numbers::U8(numbers) => letterbox.fill_within(picture, &mut numbers[range], around),
        }
    }

    /// The first `size` pictures, for the runtime.
    pub(super) fn view(&self, input: &Input, size: usize) -> ort::Result<SessionInputValue<'_>> {
        let mut shape = input.shape();
        shape[0] = size;
        let length = size * self.length;
        Ok(match &self.numbers {
            Numbers::F32(numbers) => {
                TensorRef::from_array_view((shape, &numbers[..length]))?.into()
            }
            Numbers::F16 { numbers, .. } => {
                TensorRef::from_array_view((shape, &numbers[..length]))?.into()
            }
            Numbers::U8(numbers) => TensorRef::from_array_view((shape, &numbers[..length]))?.into(),
        })
    }

    /// Fills a place with numbers that differ everywhere, from 0 to 255 before normalising.
    pub(super) fn fill_with_noise(&mut self, place: usize, input: &Input, seed: u32) {
        let mut state = seed.wrapping_mul(0x9E37_79B9) | 1;
        let mut next = move || {
            // Xorshift (Marsaglia 2003): no pattern that a convolution would cancel.
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[3]
        };
        let normalised = |pixel: u8| (f32::from(pixel) - input.mean[0]) / input.std[0];
        let range = place * self.length..(place + 1) * self.length;
        self.paddings[place] = Padding::default();
        match &mut self.numbers {
            Numbers::F32(numbers) => {
                numbers[range].fill_with(|| normalised(next()));
            }
            Numbers::F16 { numbers, .. } => {
                numbers[range].fill_with(|| f16::from_f32(normalised(next())));
            }
            Numbers::U8(numbers) => numbers[range].fill_with(next),
        }
    }
}

/// The outputs that the head reads.
#[derive(Debug)]
pub(crate) struct Outputs {
    names: Vec<String>,
    /// Which of them may hold whole numbers.
    whole: Vec<bool>,
    /// Room for those that are not in single precision as the runtime gives them.
    converted: Vec<Vec<f32>>,
}

impl Outputs {
    pub(crate) fn of(manifest: &Manifest) -> Self {
        let expected = manifest.head.expected(&manifest.input, &manifest.classes);
        let names: Vec<_> = expected
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .collect();
        let may_be_whole = |name: &String| manifest.head.may_be_whole(name);
        Self {
            converted: vec![Vec::new(); names.len()],
            whole: names.iter().map(may_be_whole).collect(),
            names,
        }
    }

    /// Reads what a run of `size` pictures gave. A missing output is left out;
    /// the head knows what to say of it.
    pub(crate) fn read<'a, 's>(
        &'a mut self,
        values: &'a SessionOutputs<'s>,
        size: usize,
    ) -> ort::Result<Given<'a, 's>> {
        let rooms = self.converted.iter_mut().zip(&self.whole);
        for (name, (room, may_be_whole)) in self.names.iter().zip(rooms) {
            if let Some(value) = values.get(name) {
                convert(name, value, room)?;
                if !may_be_whole && is_whole(*value.data_type()) {
                    return Err(ort::Error::new(format!(
                        "output `{name}` holds {}, whole numbers, and of probabilities and places nothing is left in \
                         them: export the network so that it gives floats (a quantised one with its last \
                         DequantizeLinear)",
                        value.data_type()
                    )));
                }
            }
        }
        let mut list = Vec::with_capacity(self.names.len());
        for (name, room) in self.names.iter().zip(&self.converted) {
            let Some(value) = values.get(name) else {
                continue;
            };
            let data = match value.data_type() {
                TensorElementType::Float32 => value.try_extract_tensor::<f32>()?.1,
                _ => room,
            };
            let mut shape = value.shape().to_vec();
            if size > 1 {
                // One picture's part has its own dimension in front.
                if shape.first() != i64::try_from(size).ok().as_ref() {
                    return Err(ort::Error::new(format!(
                        "output `{name}` of a batch of {size} pictures is {shape:?}; it has no part for each picture"
                    )));
                }
                shape[0] = 1;
            }
            list.push(OneOutput { name, shape, data });
        }
        Ok(Given { list, size, values })
    }
}

/// What a run gave: for each output its name, its dimensions for one picture, and
/// the numbers of all pictures.
pub(crate) struct Given<'a, 's> {
    list: Vec<OneOutput<'a>>,
    /// Pictures of the run.
    size: usize,
    values: &'a SessionOutputs<'s>,
}

struct OneOutput<'a> {
    name: &'a str,
    shape: Vec<i64>,
    data: &'a [f32],
}

impl Given<'_, '_> {
    /// What was said of one picture of the run.
    pub(crate) fn of(&self, place: usize) -> Vec<TensorView<'_>> {
        let views = self.list.iter().map(|output| {
            let length = output.data.len() / self.size;
            TensorView {
                name: output.name,
                shape: &output.shape,
                data: &output.data[place * length..][..length],
            }
        });
        views.collect()
    }

    /// Whether the output of this name holds whole numbers.
    pub(crate) fn is_whole(&self, name: &str) -> bool {
        let value = self.values.get(name);
        value.is_some_and(|value| is_whole(*value.data_type()))
    }

    /// The names of all outputs that the file has, for a message.
    pub(crate) fn names(&self) -> String {
        names(self.values.keys())
    }
}

/// Makes single precision of the numbers of other types that heads may read.
fn convert(name: &str, value: &DynValue, room: &mut Vec<f32>) -> ort::Result<()> {
    // Asked of anything else, for example a map of scikit-learn's, the binding panics.
    if !matches!(value.dtype(), ValueType::Tensor { .. }) {
        return Err(ort::Error::new(format!(
            "output `{name}` is no tensor but {}; export the network so that it gives plain numbers",
            value.dtype()
        )));
    }
    match value.data_type() {
        TensorElementType::Float32 => Ok(()),
        TensorElementType::Float16 => {
            let (_, data) = value.try_extract_tensor::<f16>()?;
            room.resize(data.len(), 0.0);
            data.convert_to_f32_slice(room);
            Ok(())
        }
        TensorElementType::Float64 => convert_from::<f64>(value, room),
        TensorElementType::Int64 => convert_from::<i64>(value, room),
        TensorElementType::Int32 => convert_from::<i32>(value, room),
        TensorElementType::Uint8 => convert_from::<u8>(value, room),
        other => Err(ort::Error::new(format!(
            "output `{name}` holds {other}; heads read float32, float16, float64, int64, int32 and \
             uint8: export the network with one of these"
        ))),
    }
}

fn is_whole(element: TensorElementType) -> bool {
    matches!(
        element,
        TensorElementType::Int64 | TensorElementType::Int32 | TensorElementType::Uint8
    )
}

fn convert_from<T>(value: &DynValue, room: &mut Vec<f32>) -> ort::Result<()>
where
    T: ort::value::PrimitiveTensorElementType + Number,
{
    let (_, data) = value.try_extract_tensor::<T>()?;
    room.clear();
    room.extend(data.iter().map(|number| number.as_f32()));
    Ok(())
}

/// A number that a head may read as single precision.
trait Number: Copy {
    fn as_f32(self) -> f32;
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Number for $number {
            // Class numbers are small; what single precision cannot hold, no head asks for.
            #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_lossless)]
            fn as_f32(self) -> f32 {
                self as f32
            }
        }
    )*};
}

numbers!(i64, i32, u8, f64);

/// The word for a type in a message.
fn word(element: ElementType) -> TensorElementType {
    match element {
        ElementType::F32 => TensorElementType::Float32,
        ElementType::F16 => TensorElementType::Float16,
        ElementType::U8 => TensorElementType::Uint8,
    }
}

/// The file must have the one input that the manifest describes.
pub(super) fn check_input(manifest: &Manifest, session: &Session) -> Result<(), DetectorError> {
    let input = &manifest.input;
    let expected = Shape(
        input
            .shape()
            .iter()
            .map(|size| i64::try_from(*size).unwrap_or(i64::MAX))
            .collect(),
    );
    let refuse = |found: String| DetectorError::Input {
        model: manifest.id.clone(),
        tensor: input.tensor.clone(),
        expected: format!("{expected} of {}", input.element),
        found,
    };
    let [outlet] = session.inputs() else {
        return Err(refuse(format!(
            "inputs {}",
            names(session.inputs().iter().map(ort::value::Outlet::name))
        )));
    };
    if outlet.name() != input.tensor {
        return Err(refuse(format!("input `{}`", outlet.name())));
    }
    let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
        return Err(refuse(format!("{:?}", outlet.dtype())));
    };
    if *ty != word(input.element) {
        let key = match ty {
            TensorElementType::Float32 => "; set `element = \"f32\"`",
            TensorElementType::Float16 => "; set `element = \"f16\"`",
            TensorElementType::Uint8 => "; set `element = \"u8\"`",
            _ => "; export it with float32, float16 or uint8 input",
        };
        return Err(refuse(format!("{:?} of {ty}{key}", &shape[..])));
    }
    // -1 is an open dimension. The batch may always be open; width and height
    // only where the manifest says that they are ours to choose.
    let fits = shape.len() == expected.0.len()
        && shape
            .iter()
            .zip(&expected.0)
            .enumerate()
            .all(|(axis, (found, wanted))| {
                found == wanted || (*found < 0 && (axis == 0 || input.dynamic))
            });
    if fits {
        return Ok(());
    }
    let open = if shape.iter().skip(1).any(|size| *size < 0) {
        " (-1 is open: set `dynamic = true`)"
    } else {
        ""
    };
    Err(refuse(format!("{:?}{open}", &shape[..])))
}

/// Whether the file takes several pictures at once.
pub(super) fn has_open_batch(session: &Session) -> bool {
    session.inputs().iter().all(|outlet| {
        matches!(outlet.dtype(), ValueType::Tensor { shape, .. } if shape.first().is_some_and(|size| *size < 0))
    })
}
