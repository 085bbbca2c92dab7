//! What the controller promises, against a real control plane: one file a behaviour.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod harness;

mod clock;
mod clouds;
mod command_line;
mod concurrency;
mod deletion;
mod drift;
mod failing_requests;
mod faults;
mod go_cluster;
mod isolation;
mod labels_file;
mod leader_election;
mod migration_doc;
mod objects;
mod old_objects;
mod owner_change;
mod ownership;
mod permissions;
mod plugins_aws;
mod plugins_crashes;
mod plugins_gcp;
mod plugins_issuer;
mod preflight;
mod preflight_cluster;
mod preflight_run;
mod quota;
mod reference;
mod request_counts;
mod retries;
mod rollback;
mod seen;
mod servers;
mod soak;
mod status;
mod takeover;
mod users;
mod validation;
mod without_istio;
