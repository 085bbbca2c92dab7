//! Shows how far a long build is: a bar that moves on a terminal, a line every tenth elsewhere.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

const TENTHS: u64 = 10;

/// Counts packages on stderr.
pub(crate) struct Progress {
    name: &'static str,
    total: u64,
    done: u64,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// `name` is what is built.
    pub(crate) fn new(name: &'static str, total: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| bar(total));
        Progress { name, total, done: 0, bar }
    }

    /// One more is done. What Go compiles beyond the expected total does not move it past the end.
    pub(crate) fn advance(&mut self, package: &str) {
        if self.done == self.total {
            return;
        }
        self.done += 1;
        match &self.bar {
            Some(bar) => {
                bar.set_position(self.done);
                bar.set_message(self.message(package));
            }
            None if self.reached_a_tenth() => eprintln!(
                "{}: {} % ({} of {} packages)",
                self.name,
                self.done * 100 / self.total,
                self.done,
                self.total
            ),
            None => {}
        }
    }

    fn reached_a_tenth(&self) -> bool {
        self.done * TENTHS / self.total > (self.done - 1) * TENTHS / self.total
    }

    fn message(&self, package: &str) -> String {
        if self.done == self.total { "linking".to_owned() } else { package.to_owned() }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar(total: u64) -> ProgressBar {
    let bar = ProgressBar::new(total);
    if let Ok(style) = ProgressStyle::with_template("{elapsed_precise} [{bar:40}] {pos}/{len} {wide_msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    // The clock moves on while one large package or the linker is at work.
    bar.enable_steady_tick(Duration::from_secs(1));
    bar
}
