//! What the pictures of an event's stills cost to be decoded: milliseconds of CPU for one out of
//! each place of a group of pictures, and for those of some events that lie in one group.
//!
//! `cargo run -p edge-video --example picture_cost -- CLIP…`

#![allow(clippy::print_stdout)] // that is its purpose

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;

use edge_video::clip::EncodedClip;
use edge_video::encoded::{AccessUnit, Ring, RingLimits, Wanted, decode_wanted};
use protocol::units::Seconds;
use protocol::{EventTime, TimeQuality};

fn main() -> Result<(), Box<dyn Error>> {
    edge_video::init()?;
    for path in std::env::args().skip(1) {
        let units = pictures(Path::new(&path))?;
        let keys: Vec<usize> = (0..units.len()).filter(|at| units[*at].is_key).collect();
        let [_, begin, end, ..] = keys[..] else {
            return Err(format!("{path}: too few groups of pictures").into());
        };
        // Without those that are decoded from the key picture before.
        let own = units[begin..end].iter();
        let own = own.filter(|unit| unit.media >= units[begin].media);
        let group: Vec<u64> = own.map(|unit| unit.number).collect();
        let mut sum = 0.0;
        for number in &group {
            sum += cost(&units, &[*number], &[])?;
        }
        let mean = sum / f64::from(u32::try_from(group.len())?);
        let (last, others) = group.split_last().unwrap_or((&0, &[]));
        println!(
            "{path}: groups of {} pictures: {mean:.1} ms for one picture, {:.1} ms for the key picture, \
             {:.1} ms for the last, {:.1} ms where all before it are shown, too",
            group.len(),
            cost(&units, &group[..1], &[])?,
            cost(&units, &[*last], &[])?,
            cost(&units, &[*last], others)?,
        );
        for events in [2, 4] {
            // Evenly over the group.
            let place = |event: usize| (2 * event + 1) * group.len() / (2 * events);
            let numbers: Vec<u64> = (0..events).map(|event| group[place(event)]).collect();
            let apart = numbers.iter().map(|it| cost(&units, &[*it], &[]));
            let apart = apart.sum::<Result<f64, _>>()?;
            let together = cost(&units, &numbers[..1], &numbers[1..])?;
            println!(
                "  pictures of {events} events: {apart:.1} ms apart, {together:.1} ms together"
            );
        }
    }
    Ok(())
}

/// Of a clip, as a ring keeps them.
fn pictures(path: &Path) -> Result<Vec<AccessUnit>, Box<dyn Error>> {
    let mut clip = EncodedClip::open(path)?;
    let ring = Ring::new(RingLimits {
        seconds: 3_600.0,
        bytes: 1 << 30,
        album: None,
    });
    if !clip.parameters().is_empty() {
        ring.describe(clip.codec(), clip.parameters());
    }
    while let Some(picture) = clip.next_picture()? {
        let time = EventTime::from_micros(picture.media.unwrap_or_default());
        let stamp = (time, TimeQuality::Rtcp);
        ring.push(clip.codec(), &picture.bytes, picture.media, stamp);
    }
    ring.end();
    let clock = ring.clock_of(EventTime::EPOCH);
    Ok(ring.since(None, EventTime::EPOCH, clock))
}

/// CPU time of this thread, on which all is decoded. ms.
fn cost(units: &[AccessUnit], numbers: &[u64], also: &[u64]) -> Result<f64, Box<dyn Error>> {
    let of = |numbers: &[u64]| numbers.iter().copied().collect::<BTreeSet<u64>>();
    let wanted = Wanted {
        numbers: of(numbers),
        also: of(also),
    };
    let began = spent()?;
    let stills = decode_wanted(units, &wanted, Seconds(0.0))?;
    let spent = spent()? - began;
    if stills.found.len() != numbers.len() || stills.also.len() != also.len() {
        let (damaged, undecodable) = (stills.damaged, stills.undecodable);
        return Err(format!(
            "of {numbers:?} some are not sound: {damaged:?} {undecodable:?}; take another clip"
        )
        .into());
    }
    Ok(spent)
}

fn spent() -> Result<f64, Box<dyn Error>> {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let first = told.split(' ').next().unwrap_or_default();
    Ok(first.parse::<f64>()? / 1e6)
}
