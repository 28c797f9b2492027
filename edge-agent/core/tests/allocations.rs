//! In the steady state a frame allocates nothing: what is followed for hours
//! must not fragment the memory of a box that runs for years.
#![allow(unsafe_code)] // the one way to count allocations; it only forwards to the system's

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use edge_core::TrackerConfig;
use edge_core::tracker::{Moment, Tracker};
use protocol::event::FrameTime;
use protocol::units::Seconds;
use protocol::{Detection, Detections, EventTime, NormBox, ObjectClass, TimeQuality};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call is passed on unchanged to `System`, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // While a thread ends its counter may be gone.
        ALLOCATIONS
            .try_with(|count| count.set(count.get() + 1))
            .ok();
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `System` with this layout.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Sixty road users who wander, of whom some are missed in every picture.
fn frame(number: u64) -> Detections {
    let t = number as f64 / 10.0;
    let items = (0..60_u32)
        .filter(|who| !(u64::from(*who) * 7 + number).is_multiple_of(11))
        .map(|who| {
            let sway = 0.02 * libm::sin(t + f64::from(who));
            let class = [
                ObjectClass::Car,
                ObjectClass::Motorcycle,
                ObjectClass::Person,
            ][who as usize % 3];
            Detection {
                class,
                score: 0.6 + f64::from(who % 4) / 10.0,
                bounds: NormBox {
                    x: 0.02 + 0.095 * f64::from(who % 10) + sway,
                    y: 0.05 + 0.15 * f64::from(who / 10),
                    width: 0.04,
                    height: 0.1,
                },
            }
        })
        .collect();
    Detections {
        frame: number,
        time: EventTime::EPOCH + Seconds(t),
        time_quality: TimeQuality::Media,
        aspect: 16.0 / 9.0,
        believed_from: 0.45,
        camera_motion: None,
        is_followed: false,
        items,
    }
}

#[test]
fn a_step_of_the_tracker_allocates_nothing_once_its_buffers_have_grown() {
    let mut tracker = Tracker::new(TrackerConfig::default());
    let mut allocated = 0;
    for number in 0..600 {
        let frame = frame(number);
        let before = ALLOCATIONS.with(Cell::get);
        let frame = frame.canonical();
        let moment = Moment {
            at: FrameTime {
                frame: frame.frame,
                time: frame.time,
            },
            watched: frame.time.since(EventTime::EPOCH).0,
            aspect: frame.aspect,
            is_followed: false,
        };
        tracker.step(&moment, frame.believed_from, &frame.items);
        let after = ALLOCATIONS.with(Cell::get);
        if number >= 300 {
            allocated += after - before;
        }
    }
    assert!(tracker.tracks().len() >= 60, "{}", tracker.tracks().len());
    assert_eq!(allocated, 0);
}
