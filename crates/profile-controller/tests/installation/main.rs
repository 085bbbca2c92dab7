//! What a platform engineer installs: every kustomization, the Helm chart and the make targets, against a real control plane with
//! the real kubectl and helm.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod api_server;
mod chart;
mod from_go;
mod kustomize;
mod make;
mod pods;
mod world;
