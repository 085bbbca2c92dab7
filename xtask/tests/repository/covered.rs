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
pub(crate) const COVERED: [Covered; 2] = [
    // It stays until Ctrl-C otherwise.
    Covered { command: "cargo xtask dev", file: ".ci/run", text: "cargo xtask dev --once" },
    // It runs this.
    Covered { command: "cargo xtask test", file: ".ci/run", text: "cargo xtask test" },
];
