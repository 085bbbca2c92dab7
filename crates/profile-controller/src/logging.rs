//! Log lines on standard error: one for each change made, none for a reconcile that changed nothing.

use std::io::{self, IsTerminal};

use tracing_subscriber::{EnvFilter, fmt, prelude::*};

use crate::args::LogFormat;

/// Starts logging. The level comes from `RUST_LOG`; without it, it is `info`, and `warn` for the libraries.
pub(crate) fn init(format: LogFormat) {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,profile_controller=info"));
    let layer = fmt::layer().with_writer(io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Human => {
            registry.with(layer.with_target(false).with_ansi(io::stderr().is_terminal())).init()
        }
        LogFormat::Json => registry.with(layer.json().flatten_event(true).with_current_span(false)).init(),
    }
}
