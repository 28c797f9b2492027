//! Sends access units to one client's media at the pace of a camera.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app as gst_app;

use crate::behaviour::{Behaviour, Damage, Script, WrongTimes};
use crate::clip::{AccessUnit, Clip, ClipCodec};

/// How often a sleeping feeder looks whether it shall stop.
const TICK: Duration = Duration::from_millis(20);
/// Later than this, the camera goes on from now instead of catching up in a burst.
const LATE: gst::ClockTime = gst::ClockTime::from_mseconds(500);
/// Pictures before the clock is set back, where it is.
const SET_BACK_AFTER: u64 = 51;

pub(crate) struct Feeder {
    pub source: gst_app::AppSrc,
    /// What the client was told.
    pub codec: ClipCodec,
    pub playlist: Arc<[Clip]>,
    pub script: Script,
    pub behaviour: Arc<Behaviour>,
    /// Set when the client has gone.
    pub is_over: Arc<AtomicBool>,
}

/// The client has gone, or the stream has been ended.
struct Over;

impl Feeder {
    pub(crate) fn run(self) {
        if self.feed().is_err() {
            tracing::debug!("client gone; feeder ends");
        }
    }

    fn feed(&self) -> Result<(), Over> {
        let mut start = self.wait_for_clock()?;
        let mut playlist = Arc::clone(&self.playlist);
        if let (true, Some(clip)) = (self.script.by_the_clock, playlist.first()) {
            let (clip, after) = clip.at(SystemTime::now());
            start += after;
            playlist = Arc::new([clip]);
        }
        let mut round = start;
        // Until it has as many pictures as it is to begin with nothing is sent.
        let opens = start + clock_time(self.script.begins_with.unwrap_or_default());
        self.wait_until(start, opens)?;
        let mut picture = 0_u64;
        let mut last_key: Option<AccessUnit> = None;
        for clip in playlist.iter().cycle() {
            // Before the clip: one that comes in between is then found at the first picture.
            let tuning = self.behaviour.retunes();
            let retuned = self.behaviour.retuned();
            let clip = retuned.as_ref().unwrap_or(clip);
            if clip.codec == self.codec {
                self.source.set_caps(Some(&clip.caps));
            }
            for unit in clip.units.iter() {
                if self.behaviour.retunes() != tuning {
                    break;
                }
                // What is of before is sent at once, and is not late.
                if round + unit.send_at >= opens {
                    round += self.wait_until(start, round + unit.send_at)?;
                }
                let due = round + unit.send_at;
                let is_frozen = self.is_frozen(start, due);
                if unit.is_key && !is_frozen {
                    last_key = Some(unit.clone());
                }
                picture += 1;
                let buffer = match &last_key {
                    // Key pictures only: each repetition decodes to the same pixels.
                    Some(key) if is_frozen => stamped(key, due, due),
                    _ => {
                        let shown = self.stamp(picture, round + unit.show_at, due);
                        if !unit.is_key && self.behaviour.is_corrupt(picture) {
                            scrambled(unit, shown, due)
                        } else if let Some(damage) = self.behaviour.damage(picture) {
                            let bytes = unit.buffer.map_readable().map_err(|_| Over)?;
                            let bytes = damaged(&bytes, damage, picture);
                            of_bytes(bytes, unit, shown, due)
                        } else {
                            stamped(unit, shown, due)
                        }
                    }
                };
                self.source.push_buffer(buffer).map_err(|_| Over)?;
            }
            round += clip.length;
        }
        Ok(())
    }

    /// The time that picture number `picture`, shown at `shown`, is stamped with.
    fn stamp(&self, picture: u64, shown: gst::ClockTime, sent: gst::ClockTime) -> gst::ClockTime {
        let interval = gst::ClockTime::from_mseconds(40);
        match (self.behaviour.times(), picture % 12) {
            (Some(WrongTimes::Repeated), n) if n % 3 == 2 => shown.saturating_sub(interval),
            (Some(WrongTimes::Swapped), 4) => shown + interval,
            (Some(WrongTimes::Swapped), 5) => shown.saturating_sub(interval),
            (Some(WrongTimes::WhenSent), _) => sent,
            (Some(WrongTimes::SetBack(ms)), _) if picture > SET_BACK_AFTER => {
                shown.saturating_sub(gst::ClockTime::from_mseconds(ms.into()))
            }
            _ => shown,
        }
    }

    /// The pipeline's time, once it plays. Before that the clock may be there
    /// already but not the base time, and the answer is days in the future.
    fn wait_for_clock(&self) -> Result<gst::ClockTime, Over> {
        loop {
            self.leave_if_over()?;
            if self.source.current_state() == gst::State::Playing
                && let Some(now) = self.source.current_running_time()
            {
                return Ok(now);
            }
            std::thread::sleep(TICK);
        }
    }

    /// Waits for an instant; returns by how much the clip must be shifted,
    /// because the camera was stalled or the machine too slow meanwhile.
    fn wait_until(
        &self,
        start: gst::ClockTime,
        due: gst::ClockTime,
    ) -> Result<gst::ClockTime, Over> {
        loop {
            self.leave_if_over()?;
            let now = self.wait_for_clock()?;
            let age = Duration::from(now.saturating_sub(start));
            if self.behaviour.is_ended() || reached(self.script.end_after, age) {
                // Refused only when the client has gone, which is the same end.
                self.source.end_of_stream().map_err(|_| Over)?;
                return Err(Over);
            }
            if self.behaviour.is_stalled() || reached(self.script.stall_after, age) {
                std::thread::sleep(TICK);
            } else if now < due {
                std::thread::sleep(Duration::from(due - now).min(TICK));
            } else if now > due + LATE {
                return Ok(now - due);
            } else {
                return Ok(gst::ClockTime::ZERO);
            }
        }
    }

    fn leave_if_over(&self) -> Result<(), Over> {
        if self.is_over.load(Ordering::Relaxed) {
            Err(Over)
        } else {
            Ok(())
        }
    }

    fn is_frozen(&self, start: gst::ClockTime, now: gst::ClockTime) -> bool {
        self.behaviour.is_frozen() || reached(self.script.freeze_after, (now - start).into())
    }
}

fn clock_time(duration: Duration) -> gst::ClockTime {
    gst::ClockTime::try_from(duration).unwrap_or(gst::ClockTime::ZERO)
}

fn reached(limit: Option<Duration>, age: Duration) -> bool {
    limit.is_some_and(|limit| age >= limit)
}

/// The unit with new times; the bytes are shared, not copied.
fn stamped(unit: &AccessUnit, pts: gst::ClockTime, dts: gst::ClockTime) -> gst::Buffer {
    with_times(unit.buffer.copy(), pts, dts)
}

fn scrambled(unit: &AccessUnit, pts: gst::ClockTime, dts: gst::ClockTime) -> gst::Buffer {
    let bytes = unit.buffer.map_readable().map(|map| {
        let mut bytes = map.to_vec();
        // What the payloader needs to find the picture stays; the rest is noise.
        let kept = after_start_codes(&bytes).unwrap_or(bytes.len() / 2);
        for byte in bytes.iter_mut().skip(kept) {
            *byte ^= 0x5a;
        }
        bytes
    });
    match bytes {
        Ok(bytes) => of_bytes(bytes, unit, pts, dts),
        Err(_) => stamped(unit, pts, dts),
    }
}

/// Where the slice header begins: behind the last start code of the first
/// bytes and the two bytes that name the unit.
fn after_start_codes(bytes: &[u8]) -> Option<usize> {
    let head = &bytes[..bytes.len().min(64)];
    head.windows(3)
        .rposition(|window| window == [0, 0, 1])
        .map(|at| at + 5)
}

/// Other bytes in the place of a unit.
fn of_bytes(
    bytes: Vec<u8>,
    unit: &AccessUnit,
    pts: gst::ClockTime,
    dts: gst::ClockTime,
) -> gst::Buffer {
    let mut buffer = gst::Buffer::from_mut_slice(bytes);
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_flags(unit.buffer.flags());
    }
    with_times(buffer, pts, dts)
}

/// The same damage for the same picture, each time.
fn damaged(bytes: &[u8], damage: Damage, picture: u64) -> Vec<u8> {
    match damage {
        Damage::FlippedBits => {
            let mut bytes = bytes.to_vec();
            let mut noise = picture.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            for byte in &mut bytes {
                // xorshift64
                noise ^= noise << 13;
                noise ^= noise >> 7;
                noise ^= noise << 17;
                if noise.is_multiple_of(40) {
                    *byte ^= 1 << (noise >> 32 & 7);
                }
            }
            bytes
        }
        Damage::Truncated => bytes[..bytes.len() / 2].to_vec(),
        Damage::OddUnits => {
            // Types that there are not, with next to nothing in them. (Units of no
            // length at all the payloader cannot send.)
            let mut odd = vec![0, 0, 1, 0x1f, 0x80, 0, 0, 1, 0x7e, 0x80];
            // An SEI of some thousands of bytes, of which there are ten.
            odd.extend([0, 0, 1, 0x06, 0x05]);
            odd.extend([0xff; 10]);
            // Aggregation and fragmentation units belong to RTP, not in here.
            odd.extend([0, 0, 1, 0x18, 0xff, 0xff, 0x80, 0, 0, 1, 0x1c, 0x85, 0x80]);
            odd.extend(bytes);
            odd
        }
        Damage::HugePicture => {
            // Baseline, level 5.1, id 0, 4095 × 4095 macroblocks (H.264 § 7.3.2.1.1).
            let mut huge = vec![0, 0, 0, 1, 0x67, 66, 0, 51];
            huge.extend([0xf4, 0x00, 0x1f, 0xfe, 0x00, 0x3f, 0xff, 0x20]);
            huge.extend(bytes);
            huge
        }
    }
}

fn with_times(mut buffer: gst::Buffer, pts: gst::ClockTime, dts: gst::ClockTime) -> gst::Buffer {
    {
        let buffer = buffer.make_mut();
        buffer.set_pts(pts);
        buffer.set_dts(dts);
    }
    buffer
}
