//! What everything is measured with: programs, model, clips, a folder for the run.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use edge_inference::{ModelStore, TELLS_NOBODY};
use protocol::id::ModelId;

use crate::floors::{Cost, Stage};
use crate::process::{run, sibling};
use crate::progress::Progress;

/// The one run of the bench.
pub(crate) struct Setting {
    /// The repository, or wherever the bench was started.
    pub(crate) root: PathBuf,
    /// Gone when the run is over.
    pub(crate) folder: tempfile::TempDir,
    pub(crate) agent: PathBuf,
    pub(crate) model: Model,
    /// 1080p H.264, 25 pictures a second, people who walk.
    pub(crate) clip: PathBuf,
    pub(crate) rounds: u32,
    pub(crate) is_quick: bool,
    pub(crate) progress: Progress,
}

/// The network that everybody uses, the peers as well.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    pub(crate) id: ModelId,
    pub(crate) file: PathBuf,
    /// The folder of models that it lies in.
    pub(crate) folder: PathBuf,
}

impl Model {
    /// `yolox-nano` from the data beside the repository where it is there, because
    /// that is what a box would run; else the best one installed.
    pub(crate) fn find(root: &Path, wanted: Option<&ModelId>) -> anyhow::Result<Self> {
        let nano: ModelId = "yolox-nano".parse()?;
        let beside = root.join("../shared/data/models");
        let mut folders = ModelStore::default_dirs();
        if wanted.is_none_or(|wanted| *wanted == nano) && beside.join("yolox_nano.onnx").is_file() {
            // As set-up would have installed it.
            let folder = root.join("target/bench-edge/models");
            let place = folder.join(nano.as_str());
            std::fs::create_dir_all(&place)?;
            let file = place.join("yolox_nano.onnx");
            if !file.exists() {
                std::fs::copy(beside.join("yolox_nano.onnx"), &file)?;
            }
            folders.insert(0, folder);
        }
        let store = ModelStore::open(folders)?;
        let found = match wanted {
            Some(model) => store.find(model)?,
            None => store.find(&nano).or_else(|_| store.best_detector())?,
        };
        Self::of(found)
    }

    /// The one that a box has after set-up, without any setting.
    pub(crate) fn installed() -> anyhow::Result<Self> {
        Self::of(ModelStore::open(ModelStore::default_dirs())?.best_detector()?)
    }

    fn of((manifest, file): (models::Manifest, PathBuf)) -> anyhow::Result<Self> {
        let folder = file
            .ancestors()
            .nth(2)
            .context("a model lies in a folder of its own in a folder of models")?
            .to_owned();
        Ok(Self {
            id: manifest.id,
            file,
            folder,
        })
    }
}

/// How the clips are made: what a camera of 1080p sends at 4 Mbit/s, with a key picture every 2 s,
/// no B-pictures and one slice a picture.
const ENCODER: [&str; 26] = [
    "-an",
    "-c:v",
    "libx264",
    "-preset",
    "veryfast",
    "-pix_fmt",
    "yuv420p",
    "-b:v",
    "4M",
    "-maxrate",
    "4M",
    "-bufsize",
    "8M",
    "-bf",
    "0",
    "-g",
    "50",
    "-keyint_min",
    "50",
    "-threads",
    "2",
    "-x264-params",
    "sliced-threads=0:slices=1:scenecut=0",
    "-movflags",
    "+faststart",
    "-y",
];

impl Setting {
    /// The clip `name`, made from `input` through ffmpeg's `filter`, unless it is there already.
    fn made_clip(root: &Path, name: &str, input: &[&str], filter: &str) -> anyhow::Result<PathBuf> {
        Self::encoded_clip(root, name, input, filter, &[])
    }

    /// The same, with other settings of the encoder where `encoding` has them.
    fn encoded_clip(
        root: &Path,
        name: &str,
        input: &[&str],
        filter: &str,
        encoding: &[&str],
    ) -> anyhow::Result<PathBuf> {
        let folder = root.join("target/bench-edge/clips");
        std::fs::create_dir_all(&folder)?;
        let path = folder.join(name);
        if path.exists() {
            return Ok(path);
        }
        let draft = folder.join(format!("draft-{name}"));
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-nostdin"]).args(input);
        command
            .args(["-filter_complex", filter])
            .args(ENCODER)
            .args(encoding)
            .arg(&draft);
        run(&mut command).with_context(|| format!("making the clip {name}"))?;
        std::fs::rename(&draft, &path)?;
        Ok(path)
    }

    /// `vtest` as a camera of today would send it: 1920×1080, 25 pictures a second.
    pub(crate) fn busy_clip(root: &Path) -> anyhow::Result<PathBuf> {
        let source = root.join(".local/clips/vtest.mp4");
        ensure!(
            source.exists(),
            "{} is not there; run `make setup`",
            source.display()
        );
        let source = source.to_string_lossy();
        Self::made_clip(
            root,
            "busy-1080p25.mp4",
            &["-i", &source],
            "crop=768:432:0:100,scale=1920:1080:flags=bicubic,setpts=N/25/TB,fps=25",
        )
    }

    /// The same at the rate at which it was recorded, 10 pictures a second.
    pub(crate) fn calm_rate_clip(root: &Path) -> anyhow::Result<PathBuf> {
        let source = root.join(".local/clips/vtest.mp4");
        let source = source.to_string_lossy();
        Self::made_clip(
            root,
            "busy-1080p10.mp4",
            &["-i", &source],
            "crop=768:432:0:100,scale=1920:1080:flags=bicubic",
        )
    }

    /// A minute in which people come for twelve seconds, from the ninth on; before and after
    /// it is the same road without anybody, as a camera with some noise sees it.
    pub(crate) fn quiet_clip(root: &Path) -> anyhow::Result<PathBuf> {
        Self::quiet(root, "quiet-1080p25.mp4", &[])
    }

    /// The same from a camera with a key picture each second.
    pub(crate) fn quiet_clip_of_short_groups(root: &Path) -> anyhow::Result<PathBuf> {
        Self::quiet(
            root,
            "quiet-1080p25-g25.mp4",
            &["-g", "25", "-keyint_min", "25"],
        )
    }

    fn quiet(root: &Path, name: &str, encoding: &[&str]) -> anyhow::Result<PathBuf> {
        let source = root.join(".local/clips/vtest.mp4");
        let source = source.to_string_lossy();
        Self::encoded_clip(
            root,
            name,
            &["-i", &source],
            "[0:v]crop=768:432:0:100,split=2[a][b];\
             [a]select='not(mod(n,4))',tmedian=radius=90,trim=end_frame=1,loop=loop=-1:size=1,\
             setpts=N/25/TB,fps=25,split=2[c][d];[c]trim=duration=9[before];[d]trim=duration=39[after];\
             [b]fps=25,trim=duration=12[people];[before][people][after]concat=n=3,\
             scale=1920:1080:flags=bicubic,noise=alls=4:allf=t",
            encoding,
        )
    }

    /// A small picture, for many cameras at once.
    pub(crate) fn small_clip(root: &Path) -> anyhow::Result<PathBuf> {
        let source = root.join(".local/clips/vtest.mp4");
        let source = source.to_string_lossy();
        Self::encoded_clip(
            root,
            "small-240p10-300k.mp4",
            &["-t", "20", "-i", &source],
            "scale=320:240:flags=bicubic",
            &["-b:v", "300k", "-maxrate", "300k", "-bufsize", "600k"],
        )
    }

    /// A dark road where nothing moves but the sensor's noise, ten pictures a second.
    pub(crate) fn night_clip(root: &Path) -> anyhow::Result<PathBuf> {
        Self::made_clip(
            root,
            "night-1080p10.mp4",
            &[
                "-f",
                "lavfi",
                "-i",
                "gradients=s=1920x1080:r=10:c0=0x0c1014:c1=0x20242c:x0=0:y0=0:x1=1919:y1=1079:speed=0.00001:d=60",
            ],
            "noise=alls=5:allf=t",
        )
    }

    /// The first `pictures` of a clip, not encoded anew.
    pub(crate) fn beginning(&self, clip: &Path, pictures: u64) -> anyhow::Result<PathBuf> {
        let stem = clip.file_stem().unwrap_or_default().to_string_lossy();
        let path = self.folder.path().join(format!("{stem}-{pictures}.mp4"));
        if !path.exists() {
            let mut command = Command::new("ffmpeg");
            command
                .args(["-v", "error", "-nostdin", "-y", "-i"])
                .arg(clip);
            command
                .args(["-frames:v", &pictures.to_string(), "-c", "copy", "-an"])
                .arg(&path);
            run(&mut command)?;
        }
        Ok(path)
    }

    /// Runs a stage of this program in a process of its own.
    pub(crate) fn stage(&self, stage: &Stage) -> anyhow::Result<Cost> {
        let mut command = Command::new(std::env::current_exe()?);
        command.current_dir(&self.root);
        // As the agent sees to it by itself.
        command.env(TELLS_NOBODY, "1");
        match stage {
            Stage::Decode { sources, pictures } => {
                command.arg("decode").args(sources);
                command.args(["--pictures", &pictures.to_string()]);
            }
            Stage::Infer {
                clip,
                pictures,
                models,
                model,
                per_second,
            } => {
                command.arg("infer").arg(clip);
                command.args(["--pictures", &pictures.to_string()]);
                command.arg("--models").arg(models);
                command.args(["--model", model.as_str()]);
                if let Some(rate) = per_second {
                    command.args(["--per-second", &rate.to_string()]);
                }
            }
            Stage::Together {
                sources,
                pictures,
                models,
                model,
                per_second,
            } => {
                command.arg("together").args(sources);
                command.args(["--pictures", &pictures.to_string()]);
                command.arg("--models").arg(models);
                command.args(["--model", model.as_str()]);
                if let Some(rate) = per_second {
                    command.args(["--per-second", &rate.to_string()]);
                }
            }
        }
        let printed = run(&mut command)?.printed;
        serde_json::from_str(&printed).with_context(|| format!("a stage printed {printed:?}"))
    }

    /// Inference alone on pictures of `clip`, so many looks a second or as many as possible.
    pub(crate) fn inference_alone(
        &self,
        clip: &Path,
        pictures: u64,
        per_second: Option<f64>,
    ) -> anyhow::Result<Cost> {
        self.stage(&Stage::Infer {
            clip: clip.to_owned(),
            pictures,
            models: self.model.folder.clone(),
            model: self.model.id.clone(),
            per_second,
        })
    }

    /// Decoding `pictures` of each source alone.
    pub(crate) fn decoding_alone(&self, sources: &[String], pictures: u64) -> anyhow::Result<Cost> {
        self.stage(&Stage::Decode {
            sources: sources.to_vec(),
            pictures,
        })
    }

    /// Decoding and inference in one process: what it cost over the parts alone, `decode` and
    /// `infer` ms each.
    pub(crate) fn together(
        &self,
        sources: &[String],
        pictures: u64,
        per_second: Option<f64>,
        (decode, infer): (f64, f64),
    ) -> anyhow::Result<f64> {
        let cost = self.stage(&Stage::Together {
            sources: sources.to_vec(),
            pictures,
            models: self.model.folder.clone(),
            model: self.model.id.clone(),
            per_second,
        })?;
        let apart = cost.pictures as f64 * decode + cost.looks as f64 * infer;
        Ok(cost.cpu_s * 1000.0 / apart)
    }

    /// The agent, by default the one beside this program.
    pub(crate) fn agent_of(path: Option<PathBuf>) -> anyhow::Result<PathBuf> {
        path.map_or_else(|| sibling("edge-agent"), Ok)
    }
}
