//! The system's clock; the only place that reads the time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use trail::Timestamp;
use trail::ports::Clock;

/// The operating system's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    #[allow(clippy::disallowed_methods)] // this type is the port through which time comes in
    fn since_epoch() -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }
}

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix(i64::try_from(Self::since_epoch().as_secs()).unwrap_or(i64::MAX))
    }

    async fn wait_until(&self, until: Timestamp) {
        let target = Duration::from_secs(u64::try_from(until.unix()).unwrap_or(0));
        while let Some(left) = target.checked_sub(Self::since_epoch()).filter(|d| !d.is_zero()) {
            // In steps: the wall clock may be set while the timer, which is monotonic, runs.
            tokio::time::sleep(left.min(Duration::from_secs(30))).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waiting_ends_at_the_time_asked() {
        let clock = SystemClock;
        let until = clock.now() + Duration::from_secs(1);
        clock.wait_until(until).await;
        assert!(clock.now() >= until);
        clock.wait_until(Timestamp::EPOCH).await;
    }
}
