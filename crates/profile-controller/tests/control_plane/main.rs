//! What the controller promises, against a real control plane: one file a behaviour.

#![allow(clippy::unwrap_used)]

mod harness;

mod concurrency;
mod deletion;
mod faults;
mod labels_file;
mod leader_election;
mod objects;
mod request_counts;
mod takeover;
