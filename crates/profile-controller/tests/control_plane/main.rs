//! What the controller promises, against a real control plane: one file a behaviour.

mod harness;

mod deletion;
mod drift;
mod objects;
mod owner_change;
mod ownership;
mod quota;
mod request_counts;
mod takeover;
mod users;
