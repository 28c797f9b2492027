use std::collections::BTreeSet;

use super::*;
use proptest::prelude::*;

const PATIENCE: Duration = Duration::from_secs(10);

/// One at 1 whose centre was heard in this connection.
fn heard(largest: u64, at: Instant) -> Window {
    let mut window = Window::new(1, largest, PATIENCE, at);
    window.heard(at);
    assert_eq!(window.room(), (1, largest));
    window
}

/// Sends all that there is room for; the first and how many, if any.
fn send(window: &mut Window, now: Instant) -> Option<(u64, u64)> {
    let (first, count) = window.room();
    for sequence in first..first + count {
        window.sent(sequence, now);
    }
    (count > 0).then_some((first, count))
}

#[test]
fn until_somebody_listens_only_the_oldest_goes_again_and_again() {
    let start = Instant::now();
    let mut window = Window::new(7, 500, PATIENCE, start);
    let mut sent = Vec::new();
    for half_seconds in 0..200 {
        let now = start + Duration::from_millis(500 * half_seconds);
        let waited = window.rewind_if_overdue(now);
        if let Some(what) = send(&mut window, now) {
            assert_eq!(what, (7, 1));
            sent.push((half_seconds, waited.map(|waited| waited.as_millis())));
        }
    }
    let expected = [
        (5, None),
        (10, Some(2500)),
        (20, Some(5000)),
        (40, Some(10_000)),
        (80, Some(20_000)),
        (160, Some(40_000)),
    ];
    assert_eq!(sent, expected);
    // The centre answers the box's status, or gives the receipt.
    let mut by_status = window.clone();
    by_status.heard(start);
    assert_eq!(by_status.room(), (7, 500));
    window.receipted(7, start);
    window.heard(start);
    assert_eq!(window.room(), (8, 500));
}

#[test]
fn a_silent_centre_is_asked_ever_more_rarely_and_with_one_message() {
    let start = Instant::now();
    let mut window = heard(500, start);
    let (mut sent, mut rewinds) = (0_u64, Vec::new());
    for second in 0..3600 {
        let now = start + Duration::from_secs(second);
        if window.rewind_if_overdue(now).is_some() {
            rewinds.push(second);
        }
        sent += send(&mut window, now).map_or(0, |(_, count)| count);
    }
    assert_eq!(rewinds[..5], [10, 30, 70, 150, 310]);
    assert_eq!(sent, 500 + rewinds.len() as u64);
    assert!(rewinds.len() < 20);
}

/// A centre that takes longer than we wait at first: what it gets twice is little, and
/// soon nothing; it is not slowed down.
#[test]
fn a_centre_that_is_slow_to_answer_gets_the_whole_window_and_nothing_twice() {
    const SLOW: u64 = 37;
    let start = Instant::now();
    let mut window = Window::new(1, 500, PATIENCE, start);
    // When each receipt comes, and through what.
    let mut under_way: Vec<(u64, u64)> = Vec::new();
    let (mut doubles, mut last_double, mut through) = (0, 0, 0);
    for second in 0..1800 {
        let now = start + Duration::from_secs(second);
        for (_, receipt) in under_way.extract_if(.., |(due, _)| *due == second) {
            through = through.max(receipt);
            window.receipted(through, now);
            window.heard(now);
        }
        window.rewind_if_overdue(now);
        let (first, count) = window.room();
        for sequence in first..first + count {
            if window.sent(sequence, now) {
                doubles += 1;
                last_double = second;
            }
            under_way.push((second + SLOW, sequence));
        }
    }
    assert!(
        doubles <= 3 && last_double <= SLOW,
        "{doubles} until {last_double}"
    );
    // 500 in each time that it takes, but for the first.
    assert!(through >= 500 * (1800 / SLOW - 2), "{through}");
}

#[test]
fn a_centre_that_starts_anew_is_sent_at_once_what_the_one_before_was() {
    let start = Instant::now();
    let mut window = heard(100, start);
    send(&mut window, start);
    window.receipted(40, start);
    send(&mut window, start);
    window.begin_again(start);
    assert_eq!(window.room(), (41, 100));
    assert!(window.sent(41, start), "it had gone out before");
}

#[test]
fn a_receipt_for_more_than_was_sent_again_skips_the_rest() {
    let start = Instant::now();
    let mut window = heard(100, start);
    send(&mut window, start);
    assert_eq!(window.rewind_if_overdue(start + PATIENCE), Some(PATIENCE));
    assert!(window.sent(1, start + PATIENCE));
    window.receipted(80, start + PATIENCE);
    assert_eq!(window.room().0, 81);
}

proptest! {
    /// A centre that begins to listen at whatever moment, however long it takes to
    /// answer, hears everything in order.
    #[test]
    fn who_comes_late_hears_all_in_order(
        messages in 1_u64..200,
        largest in 1_u64..64,
        late in 0_u64..1000,
        slow in 0_u64..60,
    ) {
        let start = Instant::now();
        let mut window = Window::new(1, largest, PATIENCE, start);
        let (mut order, mut receipts) = (Vec::new(), std::collections::VecDeque::new());
        for second in 0..100_000 {
            let now = start + Duration::from_secs(second);
            while let Some((_, through)) = receipts.pop_front_if(|(due, _)| *due <= second) {
                window.receipted(through, now);
                window.heard(now);
            }
            if window.floor > messages {
                break;
            }
            window.rewind_if_overdue(now);
            let (first, count) = window.room();
            for sequence in first..(first + count).min(messages + 1) {
                window.sent(sequence, now);
                if second >= late {
                    if !order.contains(&sequence) {
                        order.push(sequence);
                    }
                    receipts.push_back((second + slow, *order.iter().max().unwrap()));
                }
            }
        }
        prop_assert_eq!(order, (1..=messages).collect::<Vec<_>>());
    }

    /// Whatever a broker loses, everything arrives in the end, and never
    /// more than the window is under way.
    #[test]
    fn everything_arrives_through_a_channel_that_loses(
        messages in 1_u64..200,
        largest in 1_u64..64,
        losses in proptest::collection::vec(any::<bool>(), 64),
    ) {
        let start = Instant::now();
        let mut now = start;
        let mut window = Window::new(1, largest, PATIENCE, start);
        let mut arrived = BTreeSet::new();
        // A lossy first hour, then a sound channel.
        for round in 0..100_000_usize {
            let (first, count) = window.room();
            for sequence in first..(first + count).min(messages + 1) {
                prop_assert!(sequence < window.floor + largest);
                window.sent(sequence, now);
                let lost = round < 3600 && losses[(round * 7 + usize::try_from(sequence).unwrap()) % losses.len()];
                if !lost {
                    arrived.insert(sequence);
                    window.heard(now);
                }
            }
            let through = (1..=messages).take_while(|s| arrived.contains(s)).last().unwrap_or(0);
            window.receipted(through, now);
            if through == messages {
                break;
            }
            now += Duration::from_secs(1);
            window.rewind_if_overdue(now);
        }
        prop_assert_eq!(arrived.len() as u64, messages);
        prop_assert_eq!(window.floor, messages + 1);
    }
}
