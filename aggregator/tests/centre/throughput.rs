//! How much the front door takes in, with every event on disk before its
//! acknowledgement. Prints the figures; run with `--nocapture` to read them.

use std::time::{Duration, Instant};

use rumqttc::v5::mqttbytes::v5::Packet;

use crate::support::{Heard, Line, Process, a_box};

/// Processor time of a process so far (`/proc/PID/stat`, in ticks of 10 ms).
fn processor_time(pid: u32) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let after_name = stat.rsplit(')').next().unwrap();
    let ticks: u64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().unwrap())
        .sum();
    Duration::from_millis(ticks * 10)
}

#[test]
fn forty_boxes_share_commits() {
    const BOXES: u64 = 40;
    const EVENTS: u64 = 250;
    let folder = tempfile::tempdir().unwrap();
    let centre = Process::start(folder.path(), &["--mqtt", "127.0.0.1:0"]);
    let to = centre.mqtt.unwrap();
    // Written beforehand: the boxes' work is not the centre's.
    let letters: Vec<Vec<Vec<u8>>> = (0..BOXES)
        .map(|number| {
            let speaker = a_box(&format!("b{number}"), number.into());
            (1..=EVENTS).map(|n| speaker.letter(n, n)).collect()
        })
        .collect();
    let before = processor_time(centre.child.id());
    let begun = Instant::now();
    std::thread::scope(|threads| {
        for (number, letters) in letters.iter().enumerate() {
            threads.spawn(move || {
                let speaker = a_box(&format!("b{number}"), 0);
                let mut line = Line::connected(to, &format!("box-{number}"), None);
                let (mut sent, mut heard) = (0, 0);
                while heard < letters.len() {
                    while sent < letters.len() && sent < heard + 100 {
                        let pkid = u16::try_from(sent + 1).unwrap();
                        line.publish(&speaker.event_topic(), pkid, letters[sent].clone());
                        sent += 1;
                    }
                    match line.hear() {
                        Heard::Packet(Packet::PubAck(_)) => heard += 1,
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
    });
    let wall = begun.elapsed();
    let used = processor_time(centre.child.id()).saturating_sub(before);
    let events = BOXES * EVENTS;
    let commits = centre.api().metric("aggregator_commit_batch_rows_count");
    println!(
        "{events} events of {} bytes in {:.2} s: {:.0} events/s, {:.0} µs of CPU each, {commits} commits",
        letters[0][0].len(),
        wall.as_secs_f64(),
        events as f64 / wall.as_secs_f64(),
        used.as_secs_f64() * 1e6 / events as f64,
    );
    let taken = centre
        .api()
        .metric("aggregator_events_received_total{content=\"event\"}");
    assert_eq!(taken, events as f64);
    assert!(
        commits < events as f64 / 5.0,
        "{commits} commits: one fsync for each message is no batch"
    );
}
