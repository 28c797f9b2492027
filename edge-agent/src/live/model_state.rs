//! How a model fares, for metrics and the statuses of the cameras that it looks at.

use std::sync::{Mutex, MutexGuard, PoisonError};

use edge_inference::{Candidate, Detector, Network, OnTrial, Placement, Provider, Refusal};
use plate_reader::PlateReader;
use protocol::event::Words;
use protocol::status::{DetectorStatus, RefusedProvider, SecondModelStatus};

/// So many failures in a row are no chance.
const BROKEN_AFTER: u64 = 3;

/// What a model is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// Sees whole pictures, for all rules.
    Detector,
    /// Takes second looks, for some of them.
    Cascade,
    /// Is compared with the detector.
    Shadow,
}

impl Job {
    /// The word in statuses and metrics.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Detector => "detector",
            Self::Cascade => "cascade",
            Self::Shadow => "shadow",
        }
    }
}

/// One model of a box.
#[derive(Debug)]
pub(crate) struct ModelState {
    /// What looks.
    pub(crate) model: String,
    pub(crate) sha256: String,
    pub(crate) job: Job,
    /// Whether it is another model than was wanted.
    pub(crate) is_instead: bool,
    fares: Mutex<Fares>,
}

/// What changes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fares {
    /// ONNX Runtime's name of what computes.
    pub(crate) provider: &'static str,
    /// Looks that it took; of the detector they are counted by camera.
    pub(crate) looks: u64,
    pub(crate) status: DetectorStatus,
    /// What computes each network of which it is made.
    computes_on: Vec<Provider>,
    failed_in_a_row: u64,
}

impl ModelState {
    pub(crate) fn of_detector(detector: &Detector, trial: Option<&OnTrial>) -> Self {
        let model = match trial {
            Some(trial) => trial.candidate.to_string(),
            None => detector.manifest().id.to_string(),
        };
        let instead = trial.and_then(|trial| Some((trial.instead.as_deref()?, &trial.candidate)));
        Self::of_network(model, Job::Detector, detector.network()).with_instead(instead)
    }

    /// A network that is known under a name.
    pub(crate) fn of_network(model: String, job: Job, network: &Network) -> Self {
        let state = Self {
            model,
            sha256: network.manifest().sha256.to_string(),
            job,
            is_instead: false,
            fares: Mutex::default(),
        };
        state.note(network);
        state
    }

    /// One that is not at work.
    pub(crate) fn left_out(model: String, job: Job, why: Words) -> Self {
        let status = DetectorStatus {
            provider: "none".to_owned(),
            instead: Some(why),
            ..DetectorStatus::default()
        };
        Self {
            model,
            sha256: String::new(),
            job,
            is_instead: true,
            fares: Mutex::new(Fares {
                status,
                ..Fares::default()
            }),
        }
    }

    /// Whether nothing of it is at work.
    pub(crate) fn is_left_out(&self) -> bool {
        self.lock().provider.is_empty()
    }

    /// Why it is another one than was wanted, and which.
    pub(crate) fn with_instead(mut self, told: Option<(&str, &Candidate)>) -> Self {
        let Some((why, who)) = told else { return self };
        self.is_instead = true;
        self.lock().status.instead = Some(Words::new(
            format!(
                "Đang chạy {who}, không phải mô hình đã chọn; chạy edge-agent check, rồi xem: {why}"
            ),
            format!("not the wanted model is at work: {why}; {who} works meanwhile"),
        ));
        self
    }

    /// Why another one is at work than was wanted, if so.
    pub(crate) fn instead(&self) -> Option<Words> {
        self.is_instead
            .then(|| self.lock().status.instead.clone())
            .flatten()
    }

    /// The two networks that read plates, as one.
    pub(crate) fn of_plates(model: String, reader: &PlateReader) -> Self {
        let networks = reader.networks();
        let refusals = networks.iter().flat_map(|network| network.refusals());
        let [_, lines] = networks;
        let status = DetectorStatus {
            provider: lines.computes_on().to_string(),
            placement: placement(networks.iter().map(|network| network.placement())),
            refused: refusals.map(refused).collect(),
            ..DetectorStatus::default()
        };
        Self {
            model,
            sha256: lines.manifest().sha256.to_string(),
            job: Job::Cascade,
            is_instead: false,
            fares: Mutex::new(Fares {
                provider: lines.provider(),
                status,
                computes_on: networks
                    .map(edge_inference::FreeNetwork::computes_on)
                    .to_vec(),
                ..Fares::default()
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Fares> {
        // Counters stay true after another thread's panic.
        self.fares.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it fares now.
    pub(crate) fn fares(&self) -> Fares {
        self.lock().clone()
    }

    /// On what the network computes now.
    pub(crate) fn note(&self, network: &Network) {
        let mut fares = self.lock();
        if !fares.provider.is_empty() && network.losses() == fares.status.losses {
            return;
        }
        fares.provider = network.provider();
        fares.status.provider = network.computes_on().to_string();
        fares.computes_on = vec![network.computes_on()];
        fares.status.placement = placement([network.placement()]);
        fares.status.refused = network.refusals().iter().map(refused).collect();
        fares.status.losses = network.losses();
    }

    /// The same of the reader of plates: of both its networks together.
    pub(crate) fn note_plates(&self, reader: &PlateReader) {
        let mut fares = self.lock();
        let networks = reader.networks();
        let losses = networks.iter().map(|network| network.losses()).sum();
        if losses == fares.status.losses {
            return;
        }
        let [_, lines] = networks;
        fares.provider = lines.provider();
        fares.status.provider = lines.computes_on().to_string();
        fares.computes_on = networks
            .map(edge_inference::FreeNetwork::computes_on)
            .to_vec();
        fares.status.placement = placement(networks.iter().map(|network| network.placement()));
        fares.status.refused = (networks.iter())
            .flat_map(|network| network.refusals())
            .map(refused)
            .collect();
        fares.status.losses = losses;
    }

    /// What computes each of its networks now.
    pub(crate) fn computes_on(&self) -> Vec<Provider> {
        self.lock().computes_on.clone()
    }

    /// It failed on a look.
    pub(crate) fn count_failure(&self) {
        let mut fares = self.lock();
        fares.looks += 1;
        fares.status.failures += 1;
        fares.failed_in_a_row += 1;
    }

    /// It took a look and did not fail.
    pub(crate) fn count_look(&self) {
        let mut fares = self.lock();
        fares.looks += 1;
        fares.failed_in_a_row = 0;
    }

    /// Looks so far; 0 as long as it fails.
    pub(crate) fn well_looked(&self) -> u64 {
        let fares = self.lock();
        if fares.failed_in_a_row == 0 {
            fares.looks
        } else {
            0
        }
    }

    /// It answered with what are no numbers; true for the first time.
    pub(crate) fn count_broken(&self, broken: usize) -> bool {
        let mut fares = self.lock();
        let is_first = fares.status.broken == 0;
        fares.status.broken += broken as u64;
        is_first && broken > 0
    }

    /// Why rules that rest on it do not see, when it fails on every second look.
    pub(crate) fn blindness(&self) -> Option<Words> {
        let is_blind = self.job == Job::Cascade && self.lock().failed_in_a_row >= BROKEN_AFTER;
        is_blind.then(|| {
            Words::new(
                format!(
                    "Mô hình {} không xử lý được lần xem nào; xem nhật ký và chạy edge-agent models verify",
                    self.model
                ),
                format!(
                    "model {} fails on every second look, so rules that rest on it see nothing; read the log \
                     and run `edge-agent models verify`",
                    self.model
                ),
            )
        })
    }

    /// The same for the wire, of one that looks beside the detector.
    pub(crate) fn second(&self) -> SecondModelStatus {
        let fares = self.fares();
        SecondModelStatus {
            model: self.model.clone(),
            job: self.job.as_str().to_owned(),
            looks: fares.looks,
            fares: fares.status,
        }
    }
}

/// Whether it was looked at, of each network, that its provider computes it.
fn placement<'n>(networks: impl IntoIterator<Item = Option<&'n Placement>>) -> String {
    let is_proved = networks.into_iter().all(|placement| placement.is_some());
    if is_proved { "proved" } else { "unproven" }.to_owned()
}

fn refused(refusal: &Refusal) -> RefusedProvider {
    let provider = refusal.provider.to_string();
    RefusedProvider {
        reason: Words::new(
            format!(
                "Không tính được trên {provider}; kiểm tra trình điều khiển, chạy edge-agent check, \
                 rồi khởi động lại hộp"
            ),
            refusal.reason.clone(),
        ),
        provider,
    }
}
