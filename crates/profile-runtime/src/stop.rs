//! When to stop.

use std::{future::Future, io};

use tokio::signal::unix::{SignalKind, signal};

/// Begins to listen for SIGTERM and SIGINT; what is returned ends when one has come.
///
/// # Errors
/// When the signals cannot be listened for.
pub fn stop_signal() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
