//! What is not code, held against what is: documents, alerts, the dashboard, the image, the release.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod alerts;
mod bench;
mod commands;
mod covered;
mod dashboard;
mod image;
mod image_root;
mod links;
mod markdown;
mod metrics;
mod promql;
mod reasons;
mod release;
mod security;
mod tables;
mod world;
