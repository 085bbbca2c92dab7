//! Turns Kubeflow Profiles into namespaces with access rules.

use std::process::ExitCode;

fn main() -> ExitCode {
    profile_controller::main(std::env::args_os())
}
