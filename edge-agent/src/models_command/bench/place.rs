//! On what is measured.

use edge_inference::Provider;

/// What OpenVINO may compute on; the first of several graphics processors.
const OPENVINO_DEVICES: [&str; 3] = ["CPU", "GPU", "NPU"];

/// What is measured: a provider, on one of its devices.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) provider: Provider,
    pub(super) device: Option<String>,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.device {
            Some(device) => write!(f, "{} {device}", self.provider),
            None => write!(f, "{}", self.provider),
        }
    }
}

impl Place {
    /// Those of a provider: the device that is configured, else one of each kind that it has.
    /// OpenVINO computes on the processor if nobody says otherwise, where it seldom pays.
    pub(super) fn of(provider: Provider, configured: Option<&str>) -> Vec<Self> {
        let devices: Vec<Option<&str>> = match (provider, configured) {
            (Provider::Cpu, _) => vec![None],
            (Provider::OpenVino, None) => OPENVINO_DEVICES.map(Some).to_vec(),
            (_, configured) => vec![configured],
        };
        let of = |device: Option<&str>| Self {
            provider,
            device: device.map(str::to_owned),
        };
        devices.into_iter().map(of).collect()
    }

    /// How many threads are tried: an accelerator does not use the processor's.
    pub(super) fn threads_of<'a>(&self, wanted: &'a [usize]) -> &'a [usize] {
        if self.uses_threads() { wanted } else { &[1] }
    }

    /// Whether it computes with the processor's threads.
    fn uses_threads(&self) -> bool {
        match self.provider {
            Provider::Cpu => true,
            Provider::OpenVino => self.device.as_deref().is_none_or(|device| device == "CPU"),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Only on the processor, where OpenVINO gains nothing, was it ever measured.
    #[test]
    fn openvino_is_measured_on_each_kind_of_device_unless_one_is_named() {
        let said = |provider, configured| -> Vec<String> {
            let places = Place::of(provider, configured);
            places.iter().map(ToString::to_string).collect()
        };
        let all = ["openvino CPU", "openvino GPU", "openvino NPU"];
        assert_eq!(said(Provider::OpenVino, None), all);
        assert_eq!(said(Provider::OpenVino, Some("GPU.1")), ["openvino GPU.1"]);
        assert_eq!(said(Provider::Cuda, None), ["cuda"]);
        assert_eq!(said(Provider::Cuda, Some("1")), ["cuda 1"]);
        assert_eq!(said(Provider::Cpu, Some("GPU.1")), ["cpu"]);
        let on = |device| Place::of(Provider::OpenVino, Some(device))[0].uses_threads();
        assert_eq!((on("CPU"), on("GPU")), (true, false));
    }
}
