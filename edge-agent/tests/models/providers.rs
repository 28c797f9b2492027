//! What computes, as configurations name it.

use crate::roadside::{Roadside, agent};
use crate::support::free_port;

#[test]
fn a_provider_that_is_not_there_is_named_with_what_to_do() {
    let here = Roadside::new();
    let camera = format!("rtsp://127.0.0.1:{}/none", free_port());
    let check = |detector: &str| {
        let (config, _) = here.config(&camera, &format!("model = \"good\"\n{detector}"));
        let output = agent(&["check", config.to_str().unwrap(), "--timeout", "1"]);
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    let text = check("provider = [\"rknpu\", \"cpu\"]\n");
    assert!(
        text.contains("model: good (MIT) on CPUExecutionProvider")
            && text.contains("not on rknpu: "),
        "{text}"
    );
    let text = check("provider = \"rknpu\"\n");
    assert!(
        text.contains("nothing computes it. rknpu: ONNX Runtime"),
        "{text}"
    );
    assert_eq!(text.matches("model good").count(), 1, "{text}");
    // Where there is no other provider none is promised.
    assert!(text.contains("; there is no other to try"), "{text}");
    let text = check("provider = [\"rknpu\", \"cpu\"]\n");
    assert!(text.contains("; cpu is tried next"), "{text}");
    for (detector, words) in [
        (
            "provider = \"gpu\"\n",
            "`gpu` is no provider; there are auto, tensorrt",
        ),
        ("provider = []\n", "the list is empty"),
        (
            "provider = 3\n",
            "provider is \"auto\", a provider's name, or a list",
        ),
        (
            "provider = \"cuda\"\ndevice = \"GPU\"\n",
            "cuda counts its devices from 0",
        ),
        ("device = \"1\"\n", "name the provider as well"),
        (
            "provider = [\"openvino\", \"cuda\"]\ndevice = \"GPU\"\n",
            "; for a list of several kinds name each one's: device = { openvino",
        ),
        (
            "provider = [\"openvino\", \"cpu\"]\ndevice = { cuda = \"1\" }\n",
            "detector.device.cuda: cuda is not tried, so its device says nothing",
        ),
        (
            "provider = [\"cuda\", \"cpu\"]\ndevice = { cpu = \"0\" }\n",
            "cpu has no devices to choose from",
        ),
        (
            "provider = \"cuda\"\ndevice = { cuda = \"GPU\" }\n",
            "cuda counts its devices from 0",
        ),
        ("device = { gpu = \"1\" }\n", "`gpu` is no provider"),
        ("device = 3\n", "device is a device's name in quotes"),
        ("provider_tolerance = 0.9\n", "0.9 is not from 0.01 to 0.8"),
        ("provider_tolerance = nan\n", "is not from 0.01 to 0.8"),
        ("trial_min = 0\n", "is more than 0"),
        ("threads = 0\n", "0 is not from 1 to 64"),
        ("threads = 100000\n", "100000 is not from 1 to 64"),
        (
            "[detector.shadow]\nmodel = \"good@x\"\n",
            "`x` is no version",
        ),
        (
            "[detector.shadow]\nmodel = \"good\"\nevery = 0\n",
            "is at least 1",
        ),
    ] {
        let text = check(detector);
        assert!(
            text.contains(words) && text.contains("box.toml:"),
            "{detector}: {text}"
        );
    }
}
