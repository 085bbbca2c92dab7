//! Stands between a controller and the API server and makes requests fail: for tests only.
//!
//! What happens to a request follows from a seed, from what is asked for and from how often it was asked for before, not from
//! the order in which concurrent requests happen to arrive: a run that failed can be repeated with its seed. Many seeds share
//! a proxy, each deciding over the objects whose names say so.
//!
//! ```no_run
//! # async fn example(client: kube::Client) -> anyhow::Result<()> {
//! let seed_of = |name: &str| name.strip_prefix("seed-")?.parse().ok();
//! let faults = fault_proxy::Faults { share: 0.3, most: 50, seed_of, seed_of_others: 0 };
//! let proxy = fault_proxy::Proxy::start(client, faults).await?;
//! // A controller whose kubeconfig names `proxy.url()` has a hard time until:
//! proxy.heal();
//! # Ok(()) }
//! ```

mod fate;
mod proxy;

pub use fate::{Fate, Faults};
pub use proxy::Proxy;
