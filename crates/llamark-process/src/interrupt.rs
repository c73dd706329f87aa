//! A request to stop, shared by everything that runs.

use std::sync::Arc;

use tokio::sync::watch;

/// A request to stop. It is made once and never taken back. Clones share it; threads ask, async code waits.
#[derive(Clone, Debug)]
pub struct Interrupt {
    sender: Arc<watch::Sender<bool>>,
}

impl Interrupt {
    /// One that nobody has set.
    pub fn new() -> Self {
        Self { sender: Arc::new(watch::Sender::new(false)) }
    }

    /// Asks everything that shares it to stop.
    pub fn set(&self) {
        self.sender.send_replace(true);
    }

    /// Whether somebody asked to stop.
    pub fn is_set(&self) -> bool {
        *self.sender.borrow()
    }

    /// Waits until somebody asks to stop; for ever, if nobody does.
    pub async fn wait(&self) {
        let mut receiver = self.sender.subscribe();
        if receiver.wait_for(|set| *set).await.is_err() {
            // Only when every sender is gone, and `self` holds one.
            std::future::pending::<()>().await;
        }
    }
}

impl Default for Interrupt {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn everyone_who_waits_is_woken_also_late_comers() {
        let interrupt = Interrupt::new();
        let early = tokio::spawn({
            let interrupt = interrupt.clone();
            async move { interrupt.wait().await }
        });
        let quiet = tokio::time::timeout(Duration::from_millis(20), interrupt.wait()).await;
        assert!(quiet.is_err(), "nobody has set it yet");
        std::thread::spawn({
            let interrupt = interrupt.clone();
            move || interrupt.set()
        });
        tokio::time::timeout(Duration::from_secs(5), early).await.unwrap().unwrap();
        assert!(interrupt.is_set());
        tokio::time::timeout(Duration::from_secs(5), interrupt.wait()).await.unwrap();
    }
}
