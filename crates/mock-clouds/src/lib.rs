//! Clouds for tests and benchmarks: Google's IAM API as a server that keeps the real one's rules ([`Gcp`]), and AWS IAM as moto,
//! which is installed on first use ([`Aws`]). In front of each stands the [`Weather`], which makes calls slow, hang or fail.

mod aws;
mod gcp;
mod moto;
mod weather;

pub use aws::{ACCOUNT, Aws};
pub use gcp::Gcp;
pub use weather::{Call, Fate, Weather};

/// A port of this machine that is free now.
fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
