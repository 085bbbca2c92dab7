//! The pages in a browser: headless Chromium, through a gateway that says who the user is, against a real control plane with the
//! real controller at work. One file a behaviour.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod axe;
mod browser;
mod everywhere;
mod keyboard;
mod story;
mod trouble;
mod world;
