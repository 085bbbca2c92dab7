//! What is known of the cluster, in memory: Profiles, and the objects that carry our label.
//!
//! Watches fill it. Our own writes go into it at once, so that the next look sees them and nothing is written twice; an
//! older state that a watch delivers afterwards is passed over.

mod objects;
mod profiles;

pub(crate) use objects::{KindState, Moment, Objects};
pub(crate) use profiles::Profiles;
