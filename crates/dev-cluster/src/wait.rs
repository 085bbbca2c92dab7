//! Waits on a condition with a deadline: the only place of this crate that sleeps.

use std::time::Duration;

use anyhow::bail;
use tokio::time::Instant;

const PAUSE: Duration = Duration::from_millis(25);

/// Repeats `attempt` until it gives a value. Its error ends the wait at once; the deadline is an
/// error that names `what` was awaited.
pub(crate) async fn until<T>(
    what: &str,
    deadline: Duration,
    mut attempt: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = attempt().await? {
            return Ok(value);
        }
        if Instant::now() > end {
            bail!("{what}: still not so after {} s", deadline.as_secs());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
