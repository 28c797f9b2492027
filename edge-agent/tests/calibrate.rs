//! `edge-agent calibrate` as a technician meets it: real files, the real program.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

mod support;

use std::fmt::Write as _;
use std::path::PathBuf;

use support::agent;

const WIDTH: f64 = 1920.0;
const HEIGHT: f64 = 1080.0;

/// Where a camera 8 m up, pitched down by 0.3 rad, shows a place on the road
/// (x to the right, y ahead), in pixels, off by `noise`.
fn seen([x, y]: [f64; 2], noise: f64) -> [f64; 2] {
    let (sin, cos) = 0.3_f64.sin_cos();
    let focal = 1.3 * HEIGHT;
    let depth = y * cos + 8.0 * sin;
    [
        WIDTH / 2.0 + focal * x / depth + noise,
        HEIGHT / 2.0 + focal * (8.0 * cos - y * sin) / depth - noise,
    ]
}

const PLACES: [[f64; 2]; 7] = [
    [-5.0, 16.0],
    [4.0, 17.0],
    [-6.0, 26.0],
    [5.5, 27.0],
    [-5.0, 45.0],
    [6.0, 42.0],
    [0.5, 33.0],
];

fn survey_of(places: &[[f64; 2]]) -> String {
    let mut text = "picture = [1920, 1080]\n".to_owned();
    for (index, place) in places.iter().enumerate() {
        let noise = if index % 2 == 0 { 0.7 } else { -0.9 };
        let [x, y] = seen(*place, noise);
        let [east, north] = place;
        writeln!(
            text,
            "[[point]]\nname = \"peg {index}\"\nimage = [{x:.1}, {y:.1}]\nground = [{east}, {north}]"
        )
        .unwrap();
    }
    text
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn with(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).unwrap();
        self.at(name)
    }

    fn at(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }
}

/// What is refused, and why.
fn refused(survey: &str) -> String {
    let folder = Folder::new();
    let survey = folder.with("s.toml", survey);
    let (code, _, stderr) = agent(&["calibrate", &survey]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(!folder.path("s.calibration.toml").exists());
    stderr
}

const BOX: &str = r#"
[box]
site = "test"
id = "box-1"

[[camera]]
id = "gate"
source = { rtsp = "rtsp://127.0.0.1/x" }
calibration = { file = "s.calibration.toml" }

[[camera.zone]]
id = "road"
points = [[0.2, 0.9], [0.8, 0.9], [0.62, 0.45], [0.38, 0.45]]
"#;

/// A gate from 18 to 40 m over four metres to either side.
fn gate() -> String {
    let line = |id: &str, y: f64| {
        let end = |x: f64, y: f64| {
            let [x, y] = seen([x, y], 0.0);
            format!("[{:.5}, {:.5}]", x / WIDTH, y / HEIGHT)
        };
        format!(
            "[[camera.line]]\nid = \"{id}\"\nfrom = {}\nto = {}\ntowards = {}\n",
            end(-4.0, y),
            end(4.0, y),
            end(0.0, y + 5.0)
        )
    };
    format!(
        "{}{}[[camera.rule]]\nid = \"speed\"\nkind = \"speeding\"\nentry_line = \"in\"\nexit_line = \"out\"\n",
        line("in", 18.0),
        line("out", 40.0)
    )
}

#[test]
fn a_survey_becomes_one_file_that_check_and_rules_use() {
    let folder = Folder::new();
    let survey = folder.with("s.toml", &survey_of(&PLACES));
    let (code, stdout, stderr) = agent(&["calibrate", &survey]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("camera: 8."), "{stdout}");
    assert!(stdout.contains("peg 6"), "{stdout}");
    assert!(
        stdout.contains("speeds within") && stdout.contains("(95 %"),
        "{stdout}"
    );
    let written = std::fs::read_to_string(folder.path("s.calibration.toml")).unwrap();
    for part in [
        "version = 2",
        "[calibration.uncertainty]",
        "covariance = [[",
        "[[residual]]",
    ] {
        assert!(written.contains(part), "{part}: {written}");
    }

    let config = folder.with("box.toml", &format!("{BOX}{}", gate()));
    let (_, stdout, stderr) = agent(&["calibrate", &survey, "--config", &config]);
    let told = format!("{stdout}{stderr}");
    assert!(
        told.contains("road") && told.contains("positions within"),
        "{told}"
    );
    assert!(told.contains("gate of 2"), "{told}");
    let (_, stdout, stderr) = agent(&["check", "--offline", &config]);
    let told = format!("{stdout}{stderr}");
    assert!(told.contains("rule speed: gate of 2"), "{told}");
    assert!(told.contains("calibrated within"), "{told}");
}

#[test]
fn a_calibration_file_that_is_none_is_a_fault_of_the_configuration() {
    let folder = Folder::new();
    folder.with("s.calibration.toml", "picture = [1920, 1080]\n");
    let config = folder.with("box.toml", BOX);
    let (code, stdout, stderr) = agent(&["check", "--offline", &config]);
    assert_eq!(code, Some(2), "{stdout}{stderr}");
    assert!(stderr.contains("camera[0].calibration.file"), "{stderr}");
    assert!(stderr.contains("edge-agent calibrate"), "{stderr}");
}

#[test]
fn degenerate_layouts_are_refused_with_the_reason_and_the_remedy() {
    let kerb: Vec<[f64; 2]> = (0..6).map(|n| [-4.0, 16.0 + 4.0 * f64::from(n)]).collect();
    let told = refused(&survey_of(&kerb));
    assert!(told.contains("lie along one line"), "{told}");

    let cluster: Vec<[f64; 2]> = PLACES
        .iter()
        .map(|[x, y]| [x / 10.0, 25.0 + y / 20.0])
        .collect();
    let told = refused(&survey_of(&cluster));
    assert!(told.contains("% of the picture"), "{told}");
    assert!(told.contains("near and far"), "{told}");

    let mut far = PLACES;
    far[4] = [-8.0, 160.0];
    let told = refused(&survey_of(&far));
    assert!(
        told.contains("`peg 4`") && told.contains("near the horizon"),
        "{told}"
    );

    // A digit was mistyped.
    let mistyped = survey_of(&PLACES).replace("ground = [5.5, 27]", "ground = [5.5, 21]");
    let told = refused(&mistyped);
    assert!(told.contains("measure `peg 3` again"), "{told}");

    let three = refused(&survey_of(&PLACES[..3]));
    assert!(three.contains("at least 4"), "{three}");
}

#[test]
fn known_distances_do_where_nobody_can_walk() {
    let folder = Folder::new();
    let mut text = "picture = [1920, 1080]\n".to_owned();
    for (from, to) in [
        ([-1.75, 16.0], [1.75, 16.0]),
        ([-1.75, 36.0], [1.75, 36.0]),
        ([1.75, 18.0], [1.75, 24.0]),
        ([1.75, 24.0], [1.75, 30.0]),
        ([-1.75, 30.0], [-1.75, 42.0]),
        ([5.0, 20.0], [5.0, 32.0]),
    ] {
        let (a, b) = (seen(from, 0.3), seen(to, -0.2));
        let metres = (from[0] - to[0]).hypot(from[1] - to[1]);
        writeln!(
            text,
            "[[distance]]\nfrom = [{:.1}, {:.1}]\nto = [{:.1}, {:.1}]\nmetres = {metres}",
            a[0], a[1], b[0], b[1]
        )
        .unwrap();
    }
    let survey = folder.with("s.toml", &text);
    let config = folder.with("box.toml", &format!("{BOX}{}", gate()));
    // The configuration names the file, so that comes first.
    let (code, _, stderr) = agent(&["calibrate", &survey]);
    assert_eq!(code, Some(0), "{stderr}");
    let (code, stdout, stderr) = agent(&["calibrate", &survey, "--config", &config]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("gate of 2"), "{stdout}");
    let file: toml::Table = std::fs::read_to_string(folder.path("s.calibration.toml"))
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(file["residual"].as_array().unwrap().len(), 6);
}

#[test]
fn lane_widths_alone_are_refused_because_nothing_lies_along_the_road() {
    let mut text = "picture = [1920, 1080]\n".to_owned();
    for y in [16.0, 20.0, 25.0, 30.0, 36.0] {
        let (a, b) = (seen([-1.75, y], 0.0), seen([1.75, y], 0.0));
        writeln!(
            text,
            "[[distance]]\nfrom = [{:.1}, {:.1}]\nto = [{:.1}, {:.1}]\nmetres = 3.5",
            a[0], a[1], b[0], b[1]
        )
        .unwrap();
    }
    let told = refused(&text);
    assert!(
        told.contains("nothing was measured along the road"),
        "{told}"
    );
}

#[test]
fn a_wrong_unit_is_told_by_the_camera_s_height() {
    let centimetres = PLACES.iter().fold(survey_of(&PLACES), |text, [x, y]| {
        text.replace(
            &format!("ground = [{x}, {y}]"),
            &format!("ground = [{}, {}]", x * 100.0, y * 100.0),
        )
    });
    let told = refused(&centimetres);
    assert!(told.contains("is `ground` in metres?"), "{told}");
}

#[test]
fn what_no_camera_can_see_is_refused() {
    let mirrored = PLACES.iter().fold(survey_of(&PLACES), |text, [x, y]| {
        text.replace(
            &format!("ground = [{x}, {y}]"),
            &format!("ground = [{y}, {x}]"),
        )
    });
    let told = refused(&mirrored);
    assert!(told.contains("cannot see the road from below"), "{told}");
    // The camera of these tests hangs 8 m above the road.
    let lower = format!("camera_height_m = 5\n{}", survey_of(&PLACES));
    let told = refused(&lower);
    assert!(told.contains("`camera_height_m` says 5"), "{told}");
    let folder = Folder::new();
    let right = format!("camera_height_m = 8.3\n{}", survey_of(&PLACES));
    let survey = folder.with("s.toml", &right);
    assert_eq!(agent(&["calibrate", &survey]).0, Some(0));
}

#[test]
fn an_interval_that_ends_below_zero_is_no_run() {
    let folder = Folder::new();
    for row in ["30,30,-3,31", "30,30,29,401", "-30,30,29,31"] {
        let runs =
            format!("true_kmh,measured_kmh,low_kmh,high_kmh\n{row}\n40,40,39,41\n50,50,49,51\n");
        let runs = folder.with("runs.csv", &runs);
        let (code, _, stderr) = agent(&["calibrate", "--check", &runs]);
        assert_eq!(code, Some(1), "{stderr}");
        assert!(
            stderr.contains("run 1") && stderr.contains("from 0 to 400"),
            "{stderr}"
        );
    }
}

#[test]
fn a_failed_proof_and_a_faulty_file_have_their_exit_codes() {
    let folder = Folder::new();
    let runs = folder.with(
        "runs.csv",
        "\u{feff}true_kmh;measured_kmh;low_kmh;high_kmh\r\n50,0;53,0;52,1;54,0\r\n40,0;42,5;41,7;43,3\r\n60,0;63,4;62,4;64,4\r\n",
    );
    let (code, stdout, stderr) = agent(&["calibrate", "--check", &runs]);
    assert_eq!(code, Some(1), "{stdout}{stderr}");
    assert!(
        stdout.starts_with("FAULT: people would be accused"),
        "{stdout}"
    );
    let survey = folder.with("s.toml", &survey_of(&PLACES).replace("image", "imgae"));
    assert_eq!(agent(&["calibrate", &survey]).0, Some(2));
    let survey = folder.with("t.toml", &survey_of(&PLACES));
    folder.with("s.calibration.toml", "");
    let config = folder.with("box.toml", &BOX.replace("calibration = ", "# "));
    let (code, _, stderr) = agent(&[
        "calibrate",
        &survey,
        "--config",
        &config,
        "--camera",
        "nowhere",
    ]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("--camera is one of `gate`"), "{stderr}");
    assert!(!folder.path("t.calibration.toml").exists());
}

#[test]
fn latitude_and_longitude_are_a_survey_too() {
    // A metre is 9.0369e-6 degrees of latitude at Hanoi, and 9.6287e-6 of longitude.
    let text = PLACES.iter().enumerate().fold(
        "picture = [1920, 1080]\nground_sigma_m = 0.05\n".to_owned(),
        |mut text, (index, [x, y])| {
            let [u, v] = seen([*x, *y], if index % 2 == 0 { 0.5 } else { -0.5 });
            let (latitude, longitude) = (21.0285 + y * 9.036_9e-6, 105.8542 + x * 9.628_7e-6);
            writeln!(
                text,
                "[[point]]\nimage = [{u:.1}, {v:.1}]\nlatlon = [{latitude:.8}, {longitude:.8}]"
            )
            .unwrap();
            text
        },
    );
    let folder = Folder::new();
    let survey = folder.with("s.toml", &text);
    let (code, stdout, stderr) = agent(&["calibrate", &survey]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stdout.contains("camera: 8.") || stdout.contains("camera: 7.9"),
        "{stdout}"
    );
}

#[test]
fn measured_runs_are_compared_and_what_they_mean_is_said() {
    let folder = Folder::new();
    let csv = folder.with(
        "runs.csv",
        "true_kmh,measured_kmh,low_kmh,high_kmh\n30,30.4,29.5,31.3\n50,49.7,48.9,50.5\n70,70.3,69.0,71.6\n",
    );
    let (code, stdout, stderr) = agent(&["calibrate", "--check", &csv]);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stdout.contains("3 runs") && stdout.contains("good: "),
        "{stdout}"
    );
    let toml = folder.with("runs.toml", "[[run]]\ntrue_kmh = 30\nmeasured_kmh = 31\n");
    let (code, _, stderr) = agent(&["calibrate", "--check", &toml]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("fewer than three"), "{stderr}");
}

#[cfg(feature = "cv")]
#[test]
fn the_metre_grid_lies_on_the_still() {
    let folder = Folder::new();
    let survey = folder.with("s.toml", &survey_of(&PLACES));
    let blank = |width, height| {
        edge_stills::Picture::blank(width, height, [90, 90, 90])
            .unwrap()
            .jpeg(90)
            .unwrap()
    };
    std::fs::write(folder.path("still.jpg"), blank(1920, 1080)).unwrap();
    let draw = |still: &std::path::Path| {
        let (still, grid) = (still.to_str().unwrap().to_owned(), folder.at("grid.jpg"));
        agent(&["calibrate", &survey, "--still", &still, "--grid", &grid])
    };
    let (code, _, stderr) = draw(&folder.path("still.jpg"));
    assert_eq!(code, Some(0), "{stderr}");
    let drawn = std::fs::read(folder.path("grid.jpg")).unwrap();
    let picture = edge_stills::Picture::from_encoded(&drawn).unwrap();
    // On the line x = 0, half way: yellow. Between lines: the road.
    let pixel = |[x, y]: [f64; 2]| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let at = (y as usize * 1920 + x as usize) * 3;
        [
            picture.bgr()[at],
            picture.bgr()[at + 1],
            picture.bgr()[at + 2],
        ]
    };
    let on = pixel(seen([2.0, 22.6], 0.0));
    let off = pixel(seen([2.5, 22.6], 0.0));
    assert!(on[2] > off[2] + 40 || on[1] > off[1] + 40, "{on:?} {off:?}");

    std::fs::write(folder.path("square.jpg"), blank(640, 640)).unwrap();
    let (code, _, stderr) = draw(&folder.path("square.jpg"));
    assert_eq!(code, Some(1));
    assert!(stderr.contains("same camera and stream"), "{stderr}");
    let text = folder.path("text.jpg");
    std::fs::write(&text, "no picture").unwrap();
    let (code, _, stderr) = draw(&text);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("JPEG or PNG"), "{stderr}");
}
