//! What was written is read again: whole, cut, damaged and much too long.

use std::fs::File;
use std::io::Write as _;

use edge_core::Input;
use protocol::EventTime;

use super::*;

fn detections(micros: i64) -> Input {
    let line = format!(
        r#"{{"detections":{{"frame":{micros},"time":"{}","time_quality":"media","aspect":1.5,"items":[]}}}}"#,
        EventTime::from_micros(micros)
    );
    serde_json::from_str(&line).unwrap()
}

fn gz(path: &Path, chunk: &[u8], times: usize) {
    let mut sink =
        flate2::write::GzEncoder::new(File::create(path).unwrap(), flate2::Compression::fast());
    for _ in 0..times {
        sink.write_all(chunk).unwrap();
    }
    sink.finish().unwrap();
}

#[test]
fn a_recording_has_its_name_once_it_is_whole_and_can_be_read_before() {
    for name in ["r.jsonl", "r.jsonl.gz"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        let inputs = [detections(1), Input::End(EventTime::from_micros(2))];
        let write = || {
            let mut writer = RecordingWriter::create(&path).unwrap();
            for input in &inputs {
                writer.write(input).unwrap();
            }
            writer
        };
        let part = write().leave_unfinished().unwrap();
        assert!(!path.exists() && is_recording(&part), "{}", part.display());
        let read = RecordingReader::open(&part).unwrap().read_all().unwrap();
        assert_eq!(format!("{read:?}"), format!("{inputs:?}"));

        write().finish().unwrap();
        assert!(!part.exists());
        assert_eq!(RecordingReader::open(&path).unwrap().count().unwrap(), 2);
    }
}

#[test]
fn a_recording_that_does_not_fit_is_refused_while_it_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.jsonl");
    let line = serde_json::to_string(&detections(1)).unwrap() + "\n";
    std::fs::write(&path, line.repeat(10)).unwrap();
    let read = |limit| {
        let mut taken = 0;
        let outcome = RecordingReader::open(&path)
            .unwrap()
            .each(limit, |_| taken += 1);
        (outcome.map_err(|error| error.to_string()), taken)
    };
    let length = line.len() as u64;
    assert_eq!(read(10 * length), (Ok(()), 10));
    let (outcome, taken) = read(4 * length);
    assert_eq!(taken, 4);
    assert!(outcome.unwrap_err().contains("record a shorter clip"));
}

#[test]
fn a_small_file_that_unpacks_to_a_huge_line_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bomb.jsonl.gz");
    gz(&path, "[".repeat(1 << 20).as_bytes(), 64);
    assert!(std::fs::metadata(&path).unwrap().len() < 1 << 20);
    let error = RecordingReader::open(&path).unwrap().count().unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("line 1") && text.contains("more than 4 MiB"),
        "{text}"
    );
}

#[test]
fn a_recording_whose_last_line_is_cut_is_read_as_far_as_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.jsonl");
    let line = serde_json::to_string(&detections(1)).unwrap() + "\n";
    let read = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let mut reader = RecordingReader::open(&path).unwrap();
        let mut inputs = 0;
        while let Ok(Some(_)) = reader.next_input() {
            inputs += 1;
        }
        (inputs, reader.is_cut())
    };
    let three = line.repeat(3);
    assert_eq!(read(&three), (3, false));
    assert_eq!(read(three.trim_end()), (3, false));
    assert_eq!(read(&three[..three.len() - 9]), (2, true));
    // Nothing but a part of a line is no recording.
    assert_eq!(read(&line[..line.len() - 9]), (0, false));
}

#[test]
fn what_is_wrong_with_a_file_comes_with_the_next_step() {
    let dir = tempfile::tempdir().unwrap();
    let cut = dir.path().join("cut.jsonl.gz");
    let line = serde_json::to_vec(&detections(1)).unwrap();
    gz(&cut, &line, 1);
    let bytes = std::fs::read(&cut).unwrap();
    std::fs::write(&cut, &bytes[..bytes.len() - 12]).unwrap();
    let plain = dir.path().join("plain.jsonl.gz");
    std::fs::write(&plain, &line).unwrap();
    let binary = dir.path().join("binary.jsonl");
    std::fs::write(&binary, [0xff, 0xfe, b'\n']).unwrap();
    for (path, step) in [
        (dir.path().join("nowhere.jsonl"), "--record-inputs"),
        (
            dir.path().join("00000042-20261126T070000Z.inputs.jsonl.gz"),
            "deleted for room",
        ),
        (dir.path().join("nowhere"), "`edge-agent run --record`"),
        (cut, "it is cut, damaged"),
        (plain, "it is cut, damaged"),
        (binary, "it is cut, damaged"),
        (dir.path().to_owned(), "check that it is a file"),
    ] {
        let error = RecordingReader::open(&path)
            .and_then(RecordingReader::count)
            .unwrap_err()
            .to_string();
        assert!(error.contains(step), "{}: {error}", path.display());
    }
    let nowhere = dir.path().join("no/where.jsonl");
    let error = RecordingWriter::create(&nowhere).map(drop).unwrap_err();
    assert!(error.to_string().contains("its folder exists"), "{error}");
}
