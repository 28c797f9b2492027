//! A network of a few nodes that finds three things in every picture: its
//! score for each is the mean of a colour.

use std::path::{Path, PathBuf};

use edge_inference::{DetectorError, DetectorSettings, Runtime};
use models::{ColourMatrix, ColourRange, I420View, Manifest};
use sha2::Digest as _;

use super::onnx::{Attribute, Element, Network};

/// How the network is, and what is wrong with it.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools)] // each is a fault of its own
pub(crate) struct Small {
    /// Its input's first dimension; -1: open.
    pub(crate) batch: i64,
    pub(crate) input: Element,
    pub(crate) labels: Element,
    /// Of boxes and scores.
    pub(crate) found: Element,
    /// Its scores rise with the size of the batch.
    pub(crate) knows_its_batch: bool,
    /// It ends with an error when the picture is nearly white.
    pub(crate) fails_when_bright: bool,
    /// Fails on batches of more than four in which a picture is bright.
    pub(crate) fails_when_many_are_bright: bool,
    /// It does not come to an end when the picture is nearly white.
    pub(crate) hangs_when_bright: bool,
    /// So many of its scores, from the first, are NaN when the picture is brighter than the middle.
    pub(crate) nan_when_bright: usize,
    /// All of its scores are NaN, whatever it is shown.
    pub(crate) nan_always: bool,
    /// It finds nothing at all, not even low scores, when the picture is nearly white.
    pub(crate) empty_when_bright: bool,
    /// Its scores are of noise: it believes in nothing, whatever it is shown.
    pub(crate) finds_nobody: bool,
    /// How many things it says it finds.
    pub(crate) queries: i64,
}

impl Default for Small {
    fn default() -> Self {
        Self {
            batch: 1,
            input: Element::F32,
            labels: Element::I64,
            found: Element::F32,
            knows_its_batch: false,
            fails_when_bright: false,
            fails_when_many_are_bright: false,
            hangs_when_bright: false,
            nan_when_bright: 0,
            nan_always: false,
            empty_when_bright: false,
            finds_nobody: false,
            queries: 3,
        }
    }
}

const SIDE: i64 = 32;

impl Small {
    /// The ONNX file.
    #[allow(clippy::too_many_lines)] // one node after the other
    pub(crate) fn file(&self) -> Vec<u8> {
        let batch = self.batch;
        let mut network = Network::default();
        network.input("x", self.input, &[batch, 3, SIDE, SIDE]);
        network.output("labels", self.labels, &[batch, 3]);
        network.output("boxes", self.found, &[batch, 3, 4]);
        let found = if self.empty_when_bright { -1 } else { 3 };
        network.output("scores", self.found, &[batch, found]);
        network.node("Cast", &["x"], "pixels", &[Attribute::Integer("to", 1)]);
        let axes = Attribute::Integers("axes", vec![2, 3]);
        let flat = Attribute::Integer("keepdims", 0);
        network.node("ReduceMean", &["pixels"], "means", &[axes, flat]);
        network.floats("white", &[1], &[256.0]);
        network.node("Div", &["means", "white"], "shares", &[]);
        let mut scores = "shares";
        if self.finds_nobody {
            network.floats("faint", &[1], &[0.01]);
            network.node("Mul", &[scores, "faint"], "faint shares", &[]);
            scores = "faint shares";
        }
        if self.nan_when_bright > 0 {
            // The square root of less than nothing, and its square: what it was, or NaN.
            let limits: Vec<f32> = (0..3)
                .map(|number| {
                    if number < self.nan_when_bright {
                        0.5
                    } else {
                        2.0
                    }
                })
                .collect();
            network.floats("limits", &[1, 3], &limits);
            network.node("Sub", &["limits", scores], "below", &[]);
            network.node("Sqrt", &["below"], "rooted", &[]);
            network.node("Mul", &["rooted", "rooted"], "squared", &[]);
            network.node("Sub", &["limits", "squared"], "again", &[]);
            scores = "again";
        }
        if self.nan_always {
            network.floats("less than nothing", &[1, 3], &[-1.0; 3]);
            network.node("Sqrt", &["less than nothing"], "no numbers", &[]);
            network.node("Add", &[scores, "no numbers"], "all no numbers", &[]);
            scores = "all no numbers";
        }
        if self.fails_when_bright
            || self.fails_when_many_are_bright
            || self.hangs_when_bright
            || self.empty_when_bright
        {
            // 1 for a picture that is nearly white, else 0.
            network.floats("bright", &[1], &[240.0]);
            network.node("Div", &["means", "bright"], "brightness", &[]);
            network.node("Floor", &["brightness"], "floored", &[]);
            network.node(
                "Cast",
                &["floored"],
                "place",
                &[Attribute::Integer("to", 7)],
            );
        }
        if self.fails_when_bright {
            // A place beyond the end of a list of one.
            network.floats("list", &[1], &[0.0]);
            network.node(
                "Gather",
                &["list", "place"],
                "nothing",
                &[Attribute::Integer("axis", 0)],
            );
            network.node("Add", &[scores, "nothing"], "certain", &[]);
            scores = "certain";
        }
        if self.fails_when_many_are_bright {
            // The same, in batches of more than four.
            network.node("Shape", &["means"], "shape of all", &[]);
            network.integers("outermost", &[1], &[0]);
            network.node("Gather", &["shape of all", "outermost"], "how many", &[]);
            network.integers("one", &[1], &[1]);
            network.node("Sub", &["how many", "one"], "others", &[]);
            network.integers("four", &[1], &[4]);
            network.node("Div", &["others", "four"], "is many", &[]);
            network.node("Mul", &["place", "is many"], "place of many", &[]);
            network.floats("sole", &[1], &[0.0]);
            network.node("Gather", &["sole", "place of many"], "nothing of many", &[]);
            network.node("Add", &[scores, "nothing of many"], "bearable", &[]);
            scores = "bearable";
        }
        if self.hangs_when_bright {
            // Once, or as often as a thousand years have microseconds.
            network.integers("flatly", &[1], &[-1]);
            network.node("Reshape", &["place", "flatly"], "in a row", &[]);
            network.integers("one of them", &[1], &[0]);
            network.node("Gather", &["in a row", "one of them"], "is white", &[]);
            network.integers("ages", &[1], &[i64::MAX / 1000]);
            network.node("Mul", &["is white", "ages"], "times", &[]);
            let mut body = Network::default();
            body.input("number", Element::I64, &[]);
            body.input("on", Element::Bool, &[]);
            body.input("held", Element::F32, &[1]);
            body.output("go on", Element::Bool, &[]);
            body.output("hold", Element::F32, &[1]);
            body.node("Identity", &["on"], "go on", &[]);
            body.node("Cos", &["held"], "hold", &[]);
            network.floats("begin with", &[1], &[0.0]);
            let body = [Attribute::Body("body", body)];
            network.node("Loop", &["times", "", "begin with"], "at last", &body);
            network.floats("none of it", &[1], &[0.0]);
            network.node("Mul", &["at last", "none of it"], "nothing at last", &[]);
            network.node("Add", &[scores, "nothing at last"], "scores at last", &[]);
            scores = "scores at last";
        }
        if self.knows_its_batch {
            network.node("Shape", &["means"], "shape", &[]);
            network.integers("first", &[1], &[0]);
            network.node(
                "Gather",
                &["shape", "first"],
                "count",
                &[Attribute::Integer("axis", 0)],
            );
            network.node("Cast", &["count"], "size", &[Attribute::Integer("to", 1)]);
            network.floats("hair", &[1], &[1e-6]);
            network.node("Mul", &["size", "hair"], "rise", &[]);
            network.node("Add", &[scores, "rise"], "risen", &[]);
            scores = "risen";
        }
        if self.empty_when_bright {
            // Up to the end, or up to the beginning.
            network.integers("flat", &[1], &[-1]);
            network.node("Reshape", &["place", "flat"], "places", &[]);
            network.integers("only", &[1], &[0]);
            network.node(
                "Gather",
                &["places", "only"],
                "whether",
                &[Attribute::Integer("axis", 0)],
            );
            network.integers("all", &[1], &[3]);
            network.node("Mul", &["whether", "all"], "missing", &[]);
            network.node("Sub", &["all", "missing"], "end", &[]);
            network.integers("begin", &[1], &[0]);
            network.integers("axis", &[1], &[1]);
            network.node("Slice", &[scores, "begin", "end", "axis"], "left", &[]);
            scores = "left";
        }
        let to = Attribute::Integer("to", self.found as i64);
        network.node("Cast", &[scores], "scores", &[to]);
        // Zero for every answer, to give constants the shape of the batch.
        network.floats("zero", &[1], &[0.0]);
        network.node("Mul", &["means", "zero"], "zeros", &[]);
        network.floats("numbers", &[1, 3], &[0.0, 1.0, 2.0]);
        network.node("Add", &["zeros", "numbers"], "named", &[]);
        let to = Attribute::Integer("to", self.labels as i64);
        network.node("Cast", &["named"], "labels", &[to]);
        network.integers("last", &[1], &[2]);
        network.node("Unsqueeze", &["zeros", "last"], "columns", &[]);
        let boxes = [
            0.0, 0.0, 8.0, 8.0, 8.0, 8.0, 16.0, 16.0, 16.0, 16.0, 32.0, 32.0,
        ];
        network.floats("edges", &[1, 3, 4], &boxes);
        network.node("Add", &["columns", "edges"], "corners", &[]);
        let to = Attribute::Integer("to", self.found as i64);
        network.node("Cast", &["corners"], "boxes", &[to]);
        network.file()
    }

    /// What is said of it; the hash is set by [`load`].
    pub(crate) fn manifest(&self) -> Manifest {
        let element = match self.input {
            Element::U8 => "u8",
            Element::F16 => "f16",
            _ => "f32",
        };
        let head = format!(
            "kind = 'rtdetr_exported'\nlabels = 'labels'\nboxes = 'boxes'\nscores = 'scores'\nqueries = {}",
            self.queries
        );
        Self::manifest_of("detection", element, &head)
    }

    /// The same network taken for a classifier, whose classes are the things.
    pub(crate) fn classifier() -> Manifest {
        Self::classifier_of(3)
    }

    /// The same, by a manifest that says it knows so many.
    pub(crate) fn classifier_of(classes: usize) -> Manifest {
        let head = "kind = 'classifier'\ntensor = 'scores'\nactivation = 'none'\nseveral = true";
        Self::manifest_of_classes("classification", "f32", head, classes)
    }

    /// The same network by a manifest that names an output which it does not have.
    pub(crate) fn of_another_output() -> Manifest {
        let head = "kind = 'classifier'\ntensor = 'text'\nactivation = 'none'\nseveral = true";
        Self::manifest_of("classification", "f32", head)
    }

    fn manifest_of(task: &str, element: &str, head: &str) -> Manifest {
        Self::manifest_of_classes(task, element, head, 3)
    }

    fn manifest_of_classes(task: &str, element: &str, head: &str, classes: usize) -> Manifest {
        let text = format!(
            "id = 'small'\ntitle = 'Small'\ntask = '{task}'\nrank = 1\nfile = 'small.onnx'\n\
             sha256 = '{}'\nlicence = 'MIT'\norigin = 'a test'\nobtain = 'a test'\n\
             [input]\ntensor = 'x'\nwidth = {SIDE}\nheight = {SIDE}\nelement = '{element}'\nlayout = 'nchw'\n\
             colour = 'rgb'\nmean = [0.0, 0.0, 0.0]\nstd = [1.0, 1.0, 1.0]\nfit = 'stretch'\npad = [0.0, 0.0, 0.0]\n\
             [head]\n{head}\n\
             [classes]\ncount = {classes}\nperson = [0]\ncar = [1]\nbus = [2]\n\
             [thresholds]\nlow = 0.1\nhigh = 0.3\nnms = 1.0\n",
            "0".repeat(64),
        );
        Manifest::parse(&text).unwrap()
    }
}

/// Loads bytes as the file of a manifest.
pub(crate) fn load<T>(
    runtime: &Runtime,
    manifest: Manifest,
    bytes: &[u8],
    settings: &DetectorSettings,
    with: impl Fn(&Runtime, Manifest, &Path, &DetectorSettings) -> Result<T, DetectorError>,
) -> Result<T, DetectorError> {
    let folder = tempfile::tempdir().unwrap();
    let file = write(folder.path(), bytes);
    with(runtime, of_file(manifest, bytes), &file, settings)
}

/// Puts bytes into a folder.
pub(crate) fn write(folder: &Path, bytes: &[u8]) -> PathBuf {
    let file = folder.join("small.onnx");
    std::fs::write(&file, bytes).unwrap();
    file
}

/// With the hash of what its file holds.
pub(crate) fn of_file(manifest: Manifest, bytes: &[u8]) -> Manifest {
    Manifest {
        sha256: protocol::Digest(sha2::Sha256::digest(bytes).into()),
        ..manifest
    }
}

/// The runtime that set-up has fetched.
pub(crate) fn runtime() -> Runtime {
    Runtime::load(None).unwrap_or_else(|error| panic!("{error}; run `deploy/setup test` first"))
}

/// Where set-up puts clips.
pub(crate) fn clips() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.local/clips");
    let named = std::env::var_os("NGATU_CLIPS").map(PathBuf::from);
    named
        .into_iter()
        .chain([here])
        .find(|folder| folder.is_dir())
        .expect("no folder of clips; run `deploy/setup test` first, or set NGATU_CLIPS")
}

/// A grey picture.
pub(crate) fn grey(width: u32, height: u32, plane: &[u8]) -> I420View<'_> {
    let half = width.div_ceil(2) as usize;
    I420View {
        width,
        height,
        y: plane,
        y_stride: width as usize,
        u: &CHROMA,
        u_stride: half,
        v: &CHROMA,
        v_stride: half,
        matrix: ColourMatrix::Bt601,
        range: ColourRange::Full,
    }
}

/// Of pictures up to 64 × 64.
static CHROMA: [u8; 32 * 32] = [128; 32 * 32];
