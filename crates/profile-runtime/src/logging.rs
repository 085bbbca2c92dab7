//! Log lines on standard error.

use std::io::{self, IsTerminal};

use clap::ValueEnum;
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Starts logging. The level comes from `RUST_LOG`; without it, it is `info` for the crate `program`, and `warn` for the
/// libraries.
pub fn init(format: LogFormat, program: &str) {
    let filter = EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("warn,{}=info,{program}=info", env!("CARGO_CRATE_NAME"))));
    let layer = fmt::layer().with_writer(io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    match format {
        LogFormat::Human => {
            registry.with(layer.with_target(false).with_ansi(io::stderr().is_terminal())).init();
        }
        LogFormat::Json => registry.with(layer.json().flatten_event(true).with_current_span(false)).init(),
    }
}
