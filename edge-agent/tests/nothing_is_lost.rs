//! Promise 2: any process killed at any time, and every event that the agent
//! stored reaches the centre exactly once in effect.

#![allow(clippy::unwrap_used)] // a test that cannot go on says where it stands

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use support::walkers::{self, Walkers};
use support::{
    Centre, Mosquitto, Process, box_with_centre, eventually, free_port, start_agent, stored_events,
    write,
};

/// Kills per test. The long run is a loop around this.
const ROUNDS: u32 = 8;

fn write_config(dir: &Path, mqtt: &str, http: &str) -> PathBuf {
    Walkers::all_the_time(120, 0.4).write(dir);
    let text = box_with_centre(mqtt, http) + walkers::CAMERA;
    write(dir, "box.toml", &text)
}

/// Waits for `more` events beyond those stored so far.
fn await_more_events(dir: &Path, more: usize) {
    let before = stored_events(dir).len();
    eventually("more events", || {
        (stored_events(dir).len() >= before + more).then_some(())
    });
}

/// A random wait within a round, from a printed seed, so that kills fall anywhere.
fn pause(seed: &mut u64) {
    // xorshift64: enough to scatter kills, and the seed repeats them.
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    let until = Instant::now() + Duration::from_millis(*seed % 900);
    while Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn seed() -> u64 {
    let seed = std::env::var("NGATU_SEED")
        .ok()
        .and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| u64::from(std::process::id()) * 0x9e37_79b9 + 1);
    println!("NGATU_SEED={seed} repeats this");
    seed
}

/// Everything stored is at the centre, nothing else is, nothing twice.
///
/// An agent that was killed between the commit and its log line has stored an
/// event without saying so: at most one for each of its `kills`.
fn assert_all_arrived_once(dir: &Path, centre: &Centre, agent: Process, kills: usize) {
    assert_eq!(agent.terminate(), Some(0));
    let stored: BTreeSet<String> = stored_events(dir).into_iter().collect();
    assert!(
        stored.len() > 10,
        "only {} events; the test shows nothing",
        stored.len()
    );
    // Once more, to send what was left when it was told to stop.
    let agent = start_agent(dir, &dir.join("box.toml"));
    let arrived = eventually("every stored event at the centre", || {
        let alerts = centre.alerts();
        let ids: Vec<String> = alerts
            .iter()
            .map(|alert| alert["id"].as_str().unwrap().to_owned())
            .collect();
        let distinct: BTreeSet<String> = ids.iter().cloned().collect();
        assert_eq!(ids.len(), distinct.len(), "an event is there twice");
        stored.is_subset(&distinct).then_some(distinct)
    });
    // What a killed agent had begun is ended by the next one.
    let ids = stored.clone();
    eventually("the end of every event", || {
        ids.iter()
            .all(|id| {
                let alert = centre.get(&format!("/api/v1/alerts/{id}"));
                alert["machine"] == "cleared"
            })
            .then_some(())
    });
    drop(agent);
    let all: BTreeSet<String> = stored_events(dir).into_iter().collect();
    let strangers: Vec<&String> = arrived.difference(&all).collect();
    assert!(
        strangers.len() <= kills,
        "events at the centre that no agent stored: {strangers:?}"
    );
}

#[test]
fn killing_the_agent_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let centre = Centre::start(dir.path(), None);
    let mqtt = centre.mqtt.clone().unwrap();
    let config = write_config(dir.path(), &mqtt, &centre.http);
    let mut seed = seed();
    let mut agent = start_agent(dir.path(), &config);
    for _ in 0..ROUNDS {
        await_more_events(dir.path(), 1);
        pause(&mut seed);
        agent.kill();
        agent = start_agent(dir.path(), &config);
    }
    await_more_events(dir.path(), 3);
    assert_all_arrived_once(dir.path(), &centre, agent, ROUNDS as usize);
}

#[test]
fn killing_the_centre_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (http, mqtt) = (free_port(), free_port());
    let (http, mqtt) = (format!("127.0.0.1:{http}"), format!("127.0.0.1:{mqtt}"));
    let mut centre = Centre::start_at(dir.path(), None, &http, &mqtt);
    let config = write_config(
        dir.path(),
        &format!("mqtt://{mqtt}"),
        &format!("http://{http}"),
    );
    let mut seed = seed();
    let agent = start_agent(dir.path(), &config);
    for _ in 0..ROUNDS {
        await_more_events(dir.path(), 2);
        pause(&mut seed);
        centre.process.kill();
        await_more_events(dir.path(), 1);
        centre = Centre::start_at(dir.path(), None, &http, &mqtt);
    }
    assert_all_arrived_once(dir.path(), &centre, agent, 0);
}

#[test]
fn killing_the_broker_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = Mosquitto::start(dir.path());
    let centre = Centre::start(dir.path(), Some(&broker.url));
    let config = write_config(dir.path(), &broker.url.clone(), &centre.http);
    let mut seed = seed();
    let agent = start_agent(dir.path(), &config);
    for _ in 0..ROUNDS {
        await_more_events(dir.path(), 2);
        pause(&mut seed);
        broker.kill_and_restart();
    }
    await_more_events(dir.path(), 2);
    assert_all_arrived_once(dir.path(), &centre, agent, 0);
}
