//! Stands between a controller and the API server and makes requests fail: for tests only.
//!
//! What happens to a request follows from a seed, from what is asked for and from how often it was asked for before, not from
//! the order in which concurrent requests happen to arrive: a run that failed can be repeated with its seed.
//!
//! ```no_run
//! # async fn example(client: kube::Client) -> anyhow::Result<()> {
//! let proxy = fault_proxy::Proxy::start(client, fault_proxy::Faults { seed: 7, share: 0.3, most: 50 }).await?;
//! // A controller whose kubeconfig names `proxy.url()` has a hard time until:
//! proxy.heal();
//! # Ok(()) }
//! ```

mod fate;
mod proxy;

pub use fate::{Fate, Faults};
pub use proxy::Proxy;
