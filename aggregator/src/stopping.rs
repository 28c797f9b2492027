//! The word that the program is about to end, as every part hears it.

use tokio::sync::watch;

/// Says the word.
#[derive(Debug)]
pub struct Stop(watch::Sender<bool>);

/// Hears the word; clones hear the same.
#[derive(Clone, Debug)]
pub struct Stopping(watch::Receiver<bool>);

impl Stop {
    /// One who says it, and one who hears it.
    pub fn new() -> (Self, Stopping) {
        let (say, hear) = watch::channel(false);
        (Self(say), Stopping(hear))
    }

    /// Says it.
    pub fn say(&self) {
        self.0.send_replace(true);
    }
}

impl Stopping {
    /// Whether it was said.
    pub fn is_said(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it is said, or nobody can say it any more.
    pub async fn said(&mut self) {
        let _nobody = self.0.wait_for(|said| *said).await.is_err();
    }
}
