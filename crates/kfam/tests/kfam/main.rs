//! What access management promises, against a real control plane: one file a behaviour.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod harness;

mod calls;
mod concurrency;
mod failing_requests;
mod fuzz;
mod identity;
mod openapi;
mod operation;
mod outage;
mod profiles;
mod reads_after_writes;
mod reference;
mod sharing;
mod visibility;
mod without_istio;
