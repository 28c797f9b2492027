//! What a look costs in memory once everything has grown: the way from a picture's
//! planes to the tensor nothing at all, a look at a picture a few small pieces for
//! its answer, always as many, and never room for a picture or a tensor.
//!
//! ONNX Runtime and decoders are not Rust and have memory of their own; this counts
//! what is ours.
#![allow(unsafe_code)] // the one way to count allocations; it only forwards to the system's
#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

#[allow(dead_code)] // other tests use more of it
#[path = "support/onnx.rs"]
mod onnx;
#[allow(dead_code)] // other tests use more of it
#[path = "support/small.rs"]
mod small;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use edge_inference::{Detector, DetectorSettings, Look, ModelStore, StoreError};
use models::{
    Colour, ColourMatrix, ColourRange, Crop, ElementType, Fit, I420View, Input, Letterbox,
    Nv12View, PictureView, Shrink,
};

use onnx::Element;
use small::Small;

/// Pieces of memory, and their bytes.
type Cost = (u64, u64);

thread_local! {
    static ALLOCATED: Cell<Cost> = const { Cell::new((0, 0)) };
}

struct Counting;

// SAFETY: every call is passed on unchanged to `System`, which keeps the contract.
// Growing goes by way of `alloc`, as the trait does it unless told otherwise.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // While a thread ends its counter may be gone.
        let count = |cost: &Cell<Cost>| {
            let (pieces, bytes) = cost.get();
            cost.set((pieces + 1, bytes + layout.size() as u64));
        };
        ALLOCATED.try_with(count).ok();
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What `work` allocates on this thread.
fn cost<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    let before = ALLOCATED.with(Cell::get);
    let done = work();
    let after = ALLOCATED.with(Cell::get);
    (done, (after.0 - before.0, after.1 - before.1))
}

const SIZE: (u32, u32) = (1920, 1080);

/// A picture's planes: luma, and both colours beside each other.
fn planes() -> (Vec<u8>, Vec<u8>) {
    let luma = (0..SIZE.0 * SIZE.1).map(|pixel| (pixel % 251) as u8);
    (luma.collect(), vec![128; (SIZE.0 * SIZE.1 / 2) as usize])
}

fn i420((luma, colours): &(Vec<u8>, Vec<u8>)) -> I420View<'_> {
    let (u, v) = colours.split_at(colours.len() / 2);
    let (width, height) = SIZE;
    let half = (width / 2) as usize;
    I420View {
        width,
        height,
        y: luma,
        y_stride: width as usize,
        u,
        u_stride: half,
        v,
        v_stride: half,
        matrix: ColourMatrix::Bt709,
        range: ColourRange::Limited,
    }
}

#[test]
fn the_way_from_a_picture_to_the_tensor_allocates_nothing() {
    let planes = planes();
    let i420 = i420(&planes);
    let nv12 = Nv12View {
        width: SIZE.0,
        height: SIZE.1,
        y: i420.y,
        y_stride: i420.y_stride,
        uv: &planes.1,
        uv_stride: SIZE.0 as usize,
        matrix: ColourMatrix::Bt709,
        range: ColourRange::Limited,
    };
    let crops = [
        Crop::whole(SIZE.0, SIZE.1),
        Crop {
            x: 0,
            y: 0,
            width: 960,
            height: 540,
        },
        Crop {
            x: 641,
            y: 357,
            width: 333,
            height: 77,
        },
        Crop {
            x: 1800,
            y: 1000,
            width: 120,
            height: 80,
        },
    ];
    for shrink in [Shrink::Bilinear, Shrink::Area] {
        for element in [ElementType::F32, ElementType::U8] {
            let input = Input {
                element,
                shrink,
                ..small_input()
            };
            let mut letterbox = Letterbox::new(SIZE.0, SIZE.1, &input).unwrap();
            let (mut floats, mut bytes) = (vec![0_f32; input.len()], vec![0_u8; input.len()]);
            let mut round = || {
                for crop in crops {
                    letterbox.aim(SIZE, crop).unwrap();
                    for picture in [PictureView::from(&i420), PictureView::from(&nv12)] {
                        match element {
                            ElementType::U8 => letterbox.fill(picture, &mut bytes).unwrap(),
                            _ => letterbox.fill(picture, &mut floats).unwrap(),
                        }
                    }
                }
            };
            round();
            let ((), cost) = cost(|| (0..3).for_each(|_| round()));
            assert_eq!(cost, (0, 0), "{shrink:?} {element:?}");
        }
    }
}

fn small_input() -> Input {
    Input {
        width: 416,
        height: 416,
        colour: Colour::Bgr,
        fit: Fit::LetterboxTopLeft,
        ..Small::default().manifest().input
    }
}

/// Pieces and bytes of a look, when the same picture is looked at again and again.
fn of_look(detector: &mut Detector, looks: &[Look<'_>]) -> Cost {
    let mut look = || {
        let (answers, cost) = cost(|| detector.detect_batch(looks));
        for answer in answers {
            answer.unwrap();
        }
        cost
    };
    look();
    look();
    let first = look();
    for _ in 0..5 {
        assert_eq!(look(), first, "not always as much");
    }
    first
}

#[test]
fn a_look_allocates_a_few_small_pieces_for_its_answer_and_always_as_many() {
    let runtime = small::runtime();
    let planes = planes();
    let picture = i420(&planes);
    for element in [Element::F32, Element::F16, Element::U8] {
        let small = Small {
            batch: -1,
            input: element,
            found: if matches!(element, Element::F16) {
                Element::F16
            } else {
                Element::F32
            },
            ..Small::default()
        };
        let settings = DetectorSettings {
            batch: 4,
            ..DetectorSettings::default()
        };
        let manifest = small.manifest();
        let mut detector =
            small::load(&runtime, manifest, &small.file(), &settings, Detector::load).unwrap();
        let one = of_look(&mut detector, &[Look::whole(&picture)]);
        let four = of_look(&mut detector, &[Look::whole(&picture); 4]);
        println!("{element:?}: (pieces, bytes) {one:?}; of four in a batch {four:?}");
        assert!(
            one.0 <= MOST_PIECES && one.1 <= MOST_BYTES,
            "{element:?}: {one:?}"
        );
        assert!(
            four.0 <= 4 * MOST_PIECES && four.1 <= 4 * MOST_BYTES,
            "{element:?}: {four:?}"
        );
    }
    // Networks as large as they are in use.
    let store = ModelStore::open(ModelStore::default_dirs()).unwrap();
    for model in ["centernet-mb3-512", "yolox-nano"] {
        let (manifest, file) = match store.find(&model.parse().unwrap()) {
            Ok(found) => found,
            // Set-up brings the first; the other is measured where somebody put it.
            Err(StoreError::Missing { .. }) if model == "yolox-nano" => continue,
            Err(error) => panic!("{error}; run `deploy/setup test` first"),
        };
        let tensor = 4 * manifest.input.len() as u64;
        let settings = DetectorSettings::default();
        let mut detector = Detector::load(&runtime, manifest, &file, &settings).unwrap();
        let cost = of_look(&mut detector, &[Look::whole(&picture)]);
        println!("{model}: (pieces, bytes) {cost:?}; its tensor has {tensor} bytes");
        assert!(
            cost.0 <= MOST_PIECES && cost.1 <= tensor / 20,
            "{model}: {cost:?}"
        );
    }
}

/// Of one look.
const MOST_PIECES: u64 = 64;
const MOST_BYTES: u64 = 8 * 1024;
