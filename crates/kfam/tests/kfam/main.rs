//! What access management promises, against a real control plane: one file a behaviour.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod harness;

mod sharing;
