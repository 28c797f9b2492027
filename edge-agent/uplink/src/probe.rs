//! Asks broker and centre whether they would have us, for `edge-agent check`.
//!
//! Under a name of its own, without a last will and without publishing, so
//! that a check beside a running agent disturbs nothing.

use std::sync::Arc;
use std::time::Duration;

use protocol::{Digest, topic};

use crate::answer;
use crate::connection::{self, FailureKind, Happening, Hello, Version};
use crate::settings::{UplinkError, UplinkSettings, without_user_info};
use crate::trust::Trust;
use crate::upload;

/// What was found.
#[derive(Debug)]
pub struct ProbeReport {
    /// The MQTT version spoken, or why the broker cannot be used.
    pub broker: Result<&'static str, UplinkError>,
    /// Why the centre takes no evidence; `Ok` also when none is configured.
    pub evidence: Result<(), UplinkError>,
}

impl ProbeReport {
    /// Everything that is wrong.
    pub fn faults(&self) -> impl Iterator<Item = &UplinkError> {
        self.broker
            .as_ref()
            .err()
            .into_iter()
            .chain(self.evidence.as_ref().err())
    }
}

/// Connects, logs in, subscribes to the receipts; asks the centre for a file
/// that it need not have. Each within `timeout`. An error is a fault in the
/// settings themselves.
pub fn probe(settings: &UplinkSettings, timeout: Duration) -> Result<ProbeReport, UplinkError> {
    let broker = settings.broker()?;
    let base = settings.evidence_base()?;
    let trust = Trust::needed(settings, &broker)?;
    let tls = Trust::for_broker(trust.as_ref(), &broker)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(UplinkError::Start)?;
    let answer = runtime.block_on(async {
        let mut last = None;
        for version in [Version::V5, Version::V311] {
            let hello = Hello {
                settings,
                broker: &broker,
                tls: tls.as_ref().map(Arc::clone),
                client_id: format!("ngatu-check-{:08x}", fastrand::u32(..)),
                will: None,
            };
            match tokio::time::timeout(timeout, greet(version, hello)).await {
                Ok(Ok(())) => return Ok(version.as_str()),
                Ok(Err((reason, FailureKind::PerhapsVersion | FailureKind::NoAnswer))) => last = Some(reason),
                Ok(Err((reason, _))) => return Err(reason),
                Err(_) => {
                    last = Some(format!(
                        "no answer within {} s; check the address, the network and that it is an MQTT broker",
                        timeout.as_secs_f64()
                    ));
                }
            }
        }
        Err(last.unwrap_or_default())
    });
    // A name that does not resolve keeps its thread for a while.
    runtime.shutdown_background();
    Ok(ProbeReport {
        broker: answer.map_err(|reason| UplinkError::Broker {
            url: settings.url.clone(),
            reason,
        }),
        evidence: base.map_or(Ok(()), |base| {
            ask_for_evidence(settings, &base, trust.as_ref(), timeout)
        }),
    })
}

async fn greet(version: Version, hello: Hello<'_>) -> Result<(), (String, FailureKind)> {
    let receipts = topic::receipt(&hello.settings.site, &hello.settings.box_id);
    let (client, mut events) = connection::open(version, hello);
    loop {
        match events.next().await.map_err(|f| (f.reason, f.kind))? {
            Happening::Connected { .. } => {
                // The queue of a new client is empty.
                drop(client.subscribe(&receipts));
            }
            Happening::Subscribed { granted } if granted.contains(&false) => {
                return Err((
                    format!("it refuses the subscription to {receipts}; allow it to this box"),
                    FailureKind::Refused,
                ));
            }
            Happening::Subscribed { .. } => return Ok(()),
            _ => {}
        }
    }
}

fn ask_for_evidence(
    settings: &UplinkSettings,
    base: &str,
    trust: Option<&Trust>,
    timeout: Duration,
) -> Result<(), UplinkError> {
    let fault = |reason: String| UplinkError::Evidence {
        url: without_user_info(&settings.evidence_url),
        reason: settings.redacted(&reason),
    };
    let agent = upload::agent(trust, timeout, timeout);
    // Nobody has a file of this hash: who says 404 has looked, who says 200 has not.
    let mut request = agent.head(format!("{base}/{}", Digest([0; 32])));
    if let Some(bearer) = answer::bearer(settings) {
        request = request.header("Authorization", bearer);
    }
    let response = request
        .call()
        .map_err(|error| fault(answer::explain(&error)))?;
    match response.status().as_u16() {
        404 if answer::is_problem(response.headers()) => Ok(()),
        status @ 200..=299 => Err(fault(answer::impostor(status))),
        status => Err(fault(answer::advice(status))),
    }
}
