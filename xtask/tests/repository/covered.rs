//! Commands of the documents that are not run where the others are (`commands.rs`), each with what runs it instead.

/// A command, and where something runs it.
pub(crate) struct Covered {
    /// As the document has it.
    pub(crate) command: &'static str,
    /// What runs it: a file of the repository.
    pub(crate) file: &'static str,
    /// What stands there, such as the command itself, or the head of a test: `fn name_of_the_test()`.
    pub(crate) text: &'static str,
}

/// To add a command: name the test or script that runs it.
pub(crate) const COVERED: [Covered; 8] = [
    // It stays until Ctrl-C otherwise.
    Covered { command: "cargo xtask dev", file: ".ci/run", text: "cargo xtask dev --once" },
    // With fewer objects.
    Covered {
        command: "cargo xtask bench --profiles 1000 --foreign-namespaces 5000 --repetitions 3",
        file: "xtask/tests/repository/bench.rs",
        text: "fn the_controller_makes_nine_writes_for_a_new_profile_and_none_after_a_restart()",
    },
    Covered {
        command: "cargo xtask bench --profiles 100,1000,5000",
        file: "xtask/tests/repository/bench.rs",
        text: "fn the_controller_makes_nine_writes_for_a_new_profile_and_none_after_a_restart()",
    },
    Covered {
        command: "cargo xtask bench plugins",
        file: "xtask/tests/repository/bench.rs",
        text: "fn profiles_with_plugins_are_measured_for_both_clouds()",
    },
    Covered {
        command: "cargo xtask bench kfam --profiles 10000",
        file: "xtask/tests/repository/bench.rs",
        text: "fn access_management_answers_every_kind_of_question()",
    },
    // With the release from before, which is then upgraded.
    Covered {
        command: "helm install profiles manifests/chart --namespace profiles-system --create-namespace",
        file: "crates/profile-controller/tests/installation/chart.rs",
        text: "\"install\"",
    },
    Covered {
        command: "helm install profiles manifests/chart --namespace kubeflow --values manifests/chart/values-kubeflow.yaml",
        file: "crates/profile-controller/tests/installation/chart.rs",
        text: "\"install\"",
    },
    // It runs this.
    Covered { command: "cargo xtask test", file: ".ci/run", text: "cargo xtask test" },
];

/// Documents whose commands another test runs, all of them: the document, the file and the head of the test.
pub(crate) const DOCUMENTS: [(&str, &str, &str); 1] = [(
    "docs/migration.md",
    "crates/profile-controller/tests/control_plane/migration_doc.rs",
    "fn the_commands_of_the_migration_guide_work()",
)];
