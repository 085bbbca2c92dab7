//! Kubeflow access management.

use std::process::ExitCode;

fn main() -> ExitCode {
    kfam::main(std::env::args_os())
}
