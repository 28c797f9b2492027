//! A TCP proxy that does to connections what networks do: cuts, resets, holds
//! and slows them.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How the line is.
#[derive(Default)]
struct Weather {
    /// Nothing passes; the peers notice nothing.
    stalled: AtomicBool,
    /// Nobody is let in.
    closed: AtomicBool,
    /// One way, milliseconds.
    delay_ms: AtomicU64,
    /// Bytes per second and direction; 0 for no limit.
    rate: AtomicU64,
    over: AtomicBool,
    /// Connections that may never pass anything again (half open), by number.
    dead_through: AtomicU64,
    /// Bytes that passed towards the target.
    passed: AtomicU64,
    /// Where they stop, while it is not 0; the peers notice nothing.
    gate: AtomicU64,
}

/// A line that several connections share, as those of a box share its modem: what
/// is read first is sent first, and all together get so many bytes per second and
/// direction.
pub(crate) struct Link {
    bytes_per_second: f64,
    /// When each direction is free of what was let in.
    free: [Mutex<Instant>; 2],
}

impl Link {
    pub(crate) fn new(bytes_per_second: f64) -> Arc<Self> {
        let now = Instant::now();
        Arc::new(Self {
            bytes_per_second,
            free: [Mutex::new(now), Mutex::new(now)],
        })
    }

    /// When so many bytes have passed it.
    fn passed(&self, direction: usize, bytes: usize) -> Instant {
        let mut free = self.free[direction]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let begin = (*free).max(Instant::now());
        *free = begin + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second);
        *free
    }
}

type Lines = Arc<Mutex<Vec<(u64, TcpStream, TcpStream)>>>;

/// See the module.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    weather: Arc<Weather>,
    lines: Lines,
}

impl Proxy {
    /// Between its own address and `target`, which need not be there.
    pub(crate) fn before(target: SocketAddr) -> std::io::Result<Self> {
        Self::over(None, target)
    }

    /// The same over a line that it shares with others.
    pub(crate) fn over(link: Option<&Arc<Link>>, target: SocketAddr) -> std::io::Result<Self> {
        let link = link.cloned();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let weather = Arc::new(Weather::default());
        let lines: Lines = Arc::default();
        let (sky, all) = (Arc::clone(&weather), Arc::clone(&lines));
        std::thread::spawn(move || {
            let mut number = 0;
            for incoming in listener.incoming() {
                if sky.over.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(near) = incoming else { continue };
                if sky.closed.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(far) = TcpStream::connect(target) else {
                    continue;
                };
                number += 1;
                if start((&near, &far), &sky, link.as_ref(), number).is_ok() {
                    let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                    all.retain(|(_, near, _)| near.peer_addr().is_ok());
                    all.push((number, near, far));
                }
            }
        });
        Ok(Self {
            address,
            weather,
            lines,
        })
    }

    /// Ends every connection in order, as a restarted router does.
    pub(crate) fn cut(&self) {
        self.each(|near, far| {
            // One that is gone already is what is wanted.
            drop((near.shutdown(Shutdown::Both), far.shutdown(Shutdown::Both)));
        });
    }

    /// Ends every connection with an RST.
    pub(crate) fn reset(&self) {
        self.each(|near, far| {
            for stream in [near, far] {
                let socket = socket2::SockRef::from(stream);
                drop(socket.set_linger(Some(Duration::ZERO)));
                drop(stream.shutdown(Shutdown::Both));
            }
        });
    }

    fn each(&self, end: impl Fn(&TcpStream, &TcpStream)) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        for (_, near, far) in lines.drain(..) {
            end(&near, &far);
        }
    }

    /// The connections that there are stay open and never pass anything again.
    pub(crate) fn leave_half_open(&self) {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((newest, ..)) = lines.last() {
            self.weather.dead_through.store(*newest, Ordering::SeqCst);
        }
    }

    pub(crate) fn stall(&self, is_stalled: bool) {
        self.weather.stalled.store(is_stalled, Ordering::SeqCst);
    }

    pub(crate) fn close(&self, is_closed: bool) {
        self.weather.closed.store(is_closed, Ordering::SeqCst);
        if is_closed {
            self.cut();
        }
    }

    pub(crate) fn delay(&self, one_way: Duration) {
        let ms = u64::try_from(one_way.as_millis()).unwrap_or(u64::MAX);
        self.weather.delay_ms.store(ms, Ordering::SeqCst);
    }

    /// After so many bytes towards the target nothing more passes in that direction;
    /// 0 opens it.
    pub(crate) fn hold_after(&self, bytes: u64) {
        self.weather.gate.store(bytes, Ordering::SeqCst);
    }

    /// Bytes that passed towards the target.
    pub(crate) fn passed(&self) -> u64 {
        self.weather.passed.load(Ordering::SeqCst)
    }

    pub(crate) fn throttle(&self, bytes_per_second: u64) {
        self.weather.rate.store(bytes_per_second, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.weather.over.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes the listener.
        drop(TcpStream::connect(self.address));
    }
}

fn start(
    (near, far): (&TcpStream, &TcpStream),
    sky: &Arc<Weather>,
    link: Option<&Arc<Link>>,
    number: u64,
) -> std::io::Result<()> {
    near.set_nodelay(true)?;
    far.set_nodelay(true)?;
    let ways = [
        (near.try_clone()?, far.try_clone()?),
        (far.try_clone()?, near.try_clone()?),
    ];
    for (direction, (from, to)) in ways.into_iter().enumerate() {
        let sky = Arc::clone(sky);
        let link = link.cloned();
        // What waits for a shared line waits in the modem, which holds less than an
        // operating system does.
        let room = if link.is_some() { 16 } else { 64 };
        let (pieces, queue) = std::sync::mpsc::sync_channel(room);
        let reading = Arc::clone(&sky);
        std::thread::spawn(move || {
            read(from, &reading, &pieces, |bytes| {
                link.as_ref()
                    .map_or_else(Instant::now, |link| link.passed(direction, bytes))
            });
        });
        std::thread::spawn(move || write(to, &sky, &queue, (number, direction)));
    }
    Ok(())
}

/// Bytes, and when they have passed a shared line.
type Piece = (Instant, Vec<u8>);

/// Reads small pieces, so that a limit of the rate is smooth.
fn read(
    mut from: TcpStream,
    sky: &Weather,
    pieces: &std::sync::mpsc::SyncSender<Piece>,
    passed: impl Fn(usize) -> Instant,
) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        let rate = sky.rate.load(Ordering::SeqCst);
        if rate > 0 {
            std::thread::sleep(Duration::from_secs_f64(length as f64 / rate as f64));
        }
        let piece = (passed(length), buffer[..length].to_vec());
        if pieces.send(piece).is_err() {
            return;
        }
    }
}

/// Writes them after their delay; a piece waits while the line is stalled.
fn write(
    mut to: TcpStream,
    sky: &Weather,
    pieces: &std::sync::mpsc::Receiver<Piece>,
    (number, direction): (u64, usize),
) {
    let is_dead = || sky.dead_through.load(Ordering::SeqCst) >= number;
    let is_over = || sky.over.load(Ordering::SeqCst);
    let is_held = |length: u64| {
        let gate = sky.gate.load(Ordering::SeqCst);
        gate > 0 && sky.passed.load(Ordering::SeqCst) + length > gate
    };
    while let Ok((passed, bytes)) = pieces.recv() {
        let arrives = passed + Duration::from_millis(sky.delay_ms.load(Ordering::SeqCst));
        std::thread::sleep(arrives.saturating_duration_since(Instant::now()));
        while sky.stalled.load(Ordering::SeqCst) && !is_dead() && !is_over() {
            std::thread::sleep(Duration::from_millis(5));
        }
        let length = bytes.len() as u64;
        while direction == 0 && is_held(length) && !is_over() {
            std::thread::sleep(Duration::from_millis(5));
        }
        if is_dead() {
            // Swallowed: whoever waits for an answer waits for ever.
            continue;
        }
        if to.write_all(&bytes).is_err() {
            break;
        }
        if direction == 0 {
            sky.passed.fetch_add(length, Ordering::SeqCst);
        }
    }
    if !is_dead() {
        drop(to.shutdown(Shutdown::Both));
    }
}
