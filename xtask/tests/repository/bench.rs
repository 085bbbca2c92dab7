//! The benchmarks run to their end and count what they are to count. How fast anything is, no test says.

use std::process::Command;

use serde_json::Value;

use crate::world::PROGRAMS;

/// Runs `cargo xtask bench` with a few objects and what is built for the tests.
fn bench(arguments: &[&str], program: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("bench").args(arguments).arg("--binary").arg(PROGRAMS.join(program));
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_controller_makes_nine_writes_for_a_new_profile_and_none_after_a_restart() {
    let arguments = [
        "--profiles=3,4",
        "--repetitions=2",
        "--latency-profiles=2",
        "--foreign-namespaces=2",
        "--output=json",
    ];
    let report: Value = serde_json::from_str(&bench(&arguments, "profile-controller")).unwrap();
    let rounds = report["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 2, "{report:#}");
    for round in rounds {
        assert_eq!(round["raw"]["seconds"].as_array().map(Vec::len), Some(2), "{round:#}");
        assert_eq!(
            round["controllers"][0]["fromNothingSeconds"].as_array().map(Vec::len),
            Some(2),
            "{round:#}"
        );
        let phases = round["controllers"][0]["phases"].as_array().unwrap();
        let writes = |name: &str| {
            let phase = phases.iter().find(|phase| phase["name"] == name).expect(name);
            phase["writesPerProfile"].as_f64().expect(name)
        };
        assert_eq!(writes("from nothing to ready"), 9.0, "{round:#}");
        assert_eq!(writes("restart"), 0.0, "{round:#}");
        assert_eq!(writes("a label added"), 1.0, "{round:#}");
    }
}

#[test]
fn another_controller_is_put_through_the_same_work() {
    let peer = format!("--peer=other={}", PROGRAMS.join("profile-controller").display());
    let table = bench(&["--profiles=3", "--latency-profiles=1", &peer], "profile-controller");
    assert!(table.contains("\nother\n"), "{table}");
    assert_eq!(table.matches("from nothing to ready  ").count(), 2, "{table}");
}

#[test]
fn access_management_answers_every_kind_of_question() {
    let table = bench(&["kfam", "--profiles=5", "--seconds=1"], "kfam");
    assert!(table.contains("5 Profiles, 25 bindings"), "{table}");
    assert!(table.contains("all of them, one client"), "{table}");
}

#[test]
fn profiles_with_plugins_are_measured_for_both_clouds() {
    let table = bench(&["plugins", "--profiles=2", "--call-time=1"], "profile-controller");
    assert!(table.contains("WorkloadIdentity") && table.contains("AwsIamForServiceAccount"), "{table}");
    let json = bench(&["plugins", "--profiles=1", "--call-time=1", "--output=json"], "profile-controller");
    let report: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(report["profiles"], 1);
    let kinds: Vec<_> = report["plugins"].as_array().unwrap().iter().map(|it| &it["kind"]).collect();
    assert_eq!(kinds, ["WorkloadIdentity", "AwsIamForServiceAccount"]);
}
