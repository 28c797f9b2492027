//! The whole way from real pictures to what is written in them: crops, places of
//! text, lines of text, through the manifests of the catalogue and the networks
//! that they describe (PP-OCRv4).
//!
//! Needs ONNX Runtime (`NGATU_ONNXRUNTIME`), the models `ppocr-v4-det` and
//! `ppocr-v4-rec`, `ffmpeg`, and Vietnamese street pictures with boxes around
//! number plates, which may not be passed on and so are beside the repository and
//! not in it. Without any of these it says so and passes.
//!
//! What the plates say is not written down with the pictures, so this counts
//! lines that have the form of a plate: it shows that the parts work together,
//! not how often they are right.

#[allow(dead_code)] // the other tests use more of it
#[path = "support/y4m.rs"]
mod y4m;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

use edge_inference::ModelStore;
use models::heads::{self, Alphabet, Head};
use models::{Crop, I420View, Letterbox, Manifest, TensorView};
use ort::environment::Environment;
use ort::session::Session;
use ort::value::TensorRef;
use protocol::NormBox;

struct Network {
    manifest: Manifest,
    session: Session,
    tensor: Vec<f32>,
}

impl Network {
    fn load(environment: &Environment, id: &str) -> Result<Option<Self>, Box<dyn Error>> {
        let store = ModelStore::open(ModelStore::default_dirs())?;
        let Ok((manifest, file)) = store.find(&id.parse()?) else {
            return Ok(None);
        };
        let session = Session::builder(environment)?
            .with_intra_threads(1)?
            .commit_from_file(file)?;
        Ok(Some(Self {
            tensor: vec![0.0; manifest.input.len()],
            manifest,
            session,
        }))
    }

    /// Looks at a crop of a picture, and lets `read` read what the network says.
    fn look<T>(
        &mut self,
        picture: &I420View<'_>,
        crop: Crop,
        read: impl FnOnce(&Manifest, &Letterbox, &[TensorView<'_>]) -> T,
    ) -> Result<T, Box<dyn Error>> {
        let input = &self.manifest.input;
        let mut letterbox = Letterbox::of_crop((picture.width, picture.height), crop, input)?;
        letterbox.fill(picture, &mut self.tensor)?;
        let tensor = TensorRef::from_array_view((input.shape(), self.tensor.as_slice()))?;
        let values = self
            .session
            .run(ort::inputs![input.tensor.as_str() => tensor])?;
        let mut outputs = Vec::new();
        for (name, _) in self.manifest.head.expected(input, &self.manifest.classes) {
            let value = values.get(name).ok_or("an output is missing")?;
            let (shape, data) = value.try_extract_tensor::<f32>()?;
            outputs.push(TensorView { name, shape, data });
        }
        Ok(read(&self.manifest, &letterbox, &outputs))
    }
}

/// Boxes of plates beside a picture: class, middle x, middle y, width, height in fractions.
fn boxes(labels: &str) -> Vec<NormBox> {
    labels
        .lines()
        .filter_map(|line| {
            let numbers: Vec<f64> = line
                .split_whitespace()
                .filter_map(|word| word.parse().ok())
                .collect();
            let [_, x, y, width, height] = numbers[..] else {
                return None;
            };
            Some(NormBox::from([
                x - width / 2.0,
                y - height / 2.0,
                width,
                height,
            ]))
        })
        .collect()
}

/// Two digits of the province, a letter, and in all seven to nine characters that end in four digits.
fn has_the_form_of_a_plate(text: &str) -> bool {
    let characters: Vec<char> = text.chars().collect();
    let digits = |part: &[char]| part.iter().all(char::is_ascii_digit);
    (7..=9).contains(&characters.len())
        && digits(&characters[..2])
        && characters[2].is_ascii_uppercase()
        && digits(&characters[characters.len() - 4..])
}

/// What is written in a crop, line by line from the top, letters and digits only.
fn written(
    picture: &I420View<'_>,
    crop: Crop,
    (places, lines): (&mut Network, &mut Network),
    alphabet: &Alphabet,
) -> Result<String, Box<dyn Error>> {
    let mut regions = places.look(picture, crop, heads::text_regions)??.found;
    regions.sort_by(|a, b| a.bounds.y.total_cmp(&b.bounds.y));
    let mut text = String::new();
    for region in regions {
        let Some(row) = Crop::around(&region.bounds, picture.width, picture.height) else {
            continue;
        };
        let line = lines.look(picture, row, |manifest, _, outputs| {
            heads::text(manifest, alphabet, outputs)
        })??;
        assert_eq!(line.broken, 0);
        text.extend(line.text().chars().filter(char::is_ascii_alphanumeric));
    }
    Ok(text)
}

#[test]
#[ignore = "needs pictures of streets, which may not be passed on"]
fn most_plates_of_real_pictures_read_as_plates() -> Result<(), Box<dyn Error>> {
    let pictures =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/plates/mrzaizai2k");
    let library = std::env::var_os("NGATU_ONNXRUNTIME")
        .map(PathBuf::from)
        .ok_or("NGATU_ONNXRUNTIME does not say where ONNX Runtime is")?;
    let environment = ort::init_from(library)?.with_telemetry(false).build()?;
    let (Some(mut places), Some(mut lines)) = (
        Network::load(&environment, "ppocr-v4-det")?,
        Network::load(&environment, "ppocr-v4-rec")?,
    ) else {
        return Err("ppocr-v4-det or ppocr-v4-rec is missing; run `deploy/setup plates`".into());
    };
    let Head::Ctc(head) = &lines.manifest.head else {
        return Err("the catalogue changed".into());
    };
    let key = head.metadata_key().ok_or("the catalogue changed")?;
    let alphabet = head.alphabet(lines.session.metadata()?.custom(key).as_deref())?;

    let (mut boxed, mut well_formed) = (0, 0);
    let mut files: Vec<_> = std::fs::read_dir(pictures.join("labels"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    for file in files {
        // Names have dots in them.
        let name = file.file_stem().ok_or("a label without a name")?;
        let name = format!("{}.jpg", name.display());
        let picture = pictures.join("images").join(name);
        let raw = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-i"])
            .arg(&picture)
            .args(["-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe", "-"])
            .output()?;
        let mut stream = y4m::Reader::new(raw.stdout.as_slice())?;
        let Some(picture) = stream.next_picture()? else {
            continue;
        };
        for bounds in boxes(&std::fs::read_to_string(&file)?) {
            let Some(crop) = Crop::around(&bounds, picture.width, picture.height) else {
                continue;
            };
            let text = written(&picture, crop, (&mut places, &mut lines), &alphabet)?;
            boxed += 1;
            well_formed += usize::from(has_the_form_of_a_plate(&text));
        }
    }
    println!("{well_formed} of {boxed} boxes read as a plate");
    // 70 of 83 on x86-64 with ONNX Runtime 1.31.
    assert!(
        boxed > 50 && 4 * well_formed > 3 * boxed,
        "{well_formed} of {boxed}"
    );
    Ok(())
}
