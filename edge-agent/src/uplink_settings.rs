//! The uplink's settings from the configuration.

use anyhow::{Context as _, anyhow};
use edge_uplink::UplinkSettings;

use crate::config::AgentConfig;
use crate::live;

/// Settings for the uplink; `None` when the configuration has no `[uplink]`.
pub fn settings(config: &AgentConfig) -> anyhow::Result<Option<UplinkSettings>> {
    let Some(uplink) = &config.uplink else {
        return Ok(None);
    };
    let evidence_token = uplink
        .evidence_token_file
        .as_ref()
        .map(|file| {
            std::fs::read_to_string(file)
                .map(|text| text.trim().to_owned())
                .with_context(|| format!("cannot read evidence_token_file {}", file.display()))
        })
        .transpose()?;
    Ok(Some(UplinkSettings {
        user: uplink.user.clone(),
        password: uplink
            .password()
            .map_err(|reason| anyhow!("uplink: {reason}"))?,
        ca_file: uplink.ca_file.clone(),
        cert_file: uplink.cert_file.clone(),
        key_file: uplink.key_file.clone(),
        allow_tls12: uplink.allow_tls12,
        evidence_url: uplink.evidence_url.clone(),
        evidence_token,
        evidence_kbit_s: uplink.evidence_kbit_s,
        version: crate::VERSION.to_owned(),
        signal_topics: live::signal_topics(&config.cameras),
        ..UplinkSettings::new(
            &uplink.url,
            config.identity.site.clone(),
            config.identity.id.clone(),
        )
    }))
}
