//! A session that is shown something once, before it works: the numbers that its head reads.

use models::heads::names;
use models::{I420View, Letterbox, Manifest, PictureError, TensorView};
use ort::session::Session;

use super::tensors::{Outputs, Tensor};
use super::{Answered, Reader};
use crate::error::DetectorError;
use crate::session::one_line;

/// One output.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Numbers {
    pub(super) name: String,
    pub(super) shape: Vec<i64>,
    /// Whether the file gives whole numbers.
    pub(super) is_whole: bool,
    pub(super) data: Vec<f32>,
}

/// What a network is shown, as it goes in.
pub(super) struct Shown(Tensor);

/// What it answered.
pub(super) struct Looked {
    /// Those that its head reads.
    pub(super) outputs: Vec<Numbers>,
    /// All that the file has.
    names: String,
}

impl Shown {
    /// An empty picture.
    pub(super) fn black(manifest: &Manifest) -> Self {
        Self(Tensor::new(&manifest.input, 1))
    }

    /// One of noise.
    pub(super) fn noise(manifest: &Manifest, seed: u32) -> Self {
        let mut tensor = Tensor::new(&manifest.input, 1);
        tensor.fill_with_noise(0, &manifest.input, seed);
        Self(tensor)
    }

    /// All of a picture.
    pub(super) fn picture(
        manifest: &Manifest,
        letterbox: &mut Letterbox,
        picture: &I420View<'_>,
    ) -> Result<Self, PictureError> {
        let mut tensor = Tensor::new(&manifest.input, 1);
        tensor.fill(0, letterbox, picture.into())?;
        Ok(Self(tensor))
    }
}

/// Shows it to a session.
pub(super) fn look(
    manifest: &Manifest,
    session: &mut Session,
    shown: &Shown,
) -> Result<Looked, DetectorError> {
    let failed = |error: ort::Error| DetectorError::Inference {
        model: manifest.id.clone(),
        message: one_line(error.message()),
    };
    let mut outputs = Outputs::of(manifest);
    let names = names(session.outputs().iter().map(ort::value::Outlet::name));
    let input = shown.0.view(&manifest.input, 1).map_err(failed)?;
    let values = session
        .run(ort::inputs![manifest.input.tensor.as_str() => input])
        .map_err(failed)?;
    let given = outputs.read(&values, 1).map_err(failed)?;
    let views = given.of(0).into_iter();
    let outputs = views.map(|view| Numbers {
        name: view.name.to_owned(),
        shape: view.shape.to_vec(),
        is_whole: given.is_whole(view.name),
        data: view.data.to_vec(),
    });
    Ok(Looked {
        outputs: outputs.collect(),
        names,
    })
}

impl Looked {
    /// What the head makes of it.
    pub(super) fn read(
        &self,
        reader: &Reader,
        letterbox: &Letterbox,
    ) -> Result<Answered, DetectorError> {
        let views = self.outputs.iter().map(|output| TensorView {
            name: &output.name,
            shape: &output.shape,
            data: &output.data,
        });
        let views: Vec<TensorView<'_>> = views.collect();
        let answered = reader.answered(letterbox, &views);
        answered.map_err(|source| reader.misfit(source, || self.names.clone()))
    }
}
