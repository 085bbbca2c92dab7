//! The namespace labels file: read at start, watched while running.
//!
//! A ConfigMap volume is updated by swapping a symbolic link, and inotify instances run out on busy nodes, so the content is
//! compared on a timer. A file that cannot be used changes nothing: the last good one stays in force.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use profile_render::NamespaceLabels;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{info, warn};

/// How often the content is compared.
const PERIOD: Duration = Duration::from_secs(2);

/// Reads the file; `None` when there is none.
pub(crate) fn read(path: &Path) -> anyhow::Result<Option<NamespaceLabels>> {
    let describe = || format!("namespace labels file {}", path.display());
    match fs::read_to_string(path) {
        Ok(text) => NamespaceLabels::parse(&text).map(Some).with_context(describe),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(describe),
    }
}

/// What is known of the file: the labels in force, and the last problem, so that each is logged once.
#[derive(Debug)]
pub(crate) struct LabelsFile {
    path: PathBuf,
    labels: NamespaceLabels,
    problem: Option<String>,
}

impl LabelsFile {
    /// Reads the file for the first time. Whatever is wrong with it is a warning.
    pub(crate) fn load(path: PathBuf) -> Self {
        let mut file = Self { path, labels: NamespaceLabels::default(), problem: None };
        file.reload();
        file
    }

    /// The labels in force.
    pub(crate) fn labels(&self) -> &NamespaceLabels {
        &self.labels
    }

    /// Reads the file again; whether the labels have changed.
    fn reload(&mut self) -> bool {
        let (labels, problem) = match read(&self.path) {
            Ok(Some(labels)) => (Some(labels), None),
            Ok(None) => (None, Some(format!("there is no namespace labels file {}", self.path.display()))),
            Err(error) => (None, Some(format!("{error:#}"))),
        };
        if let Some(problem) = problem.as_ref().filter(|problem| self.problem.as_ref() != Some(problem)) {
            let labels = self.labels.iter().count();
            let until_then = match labels {
                0 => "namespaces get no labels from it",
                _ => "the labels that were in force stay in force",
            };
            warn!(labels, "{problem}; {until_then}");
        }
        self.problem = problem;
        let changed = labels.filter(|labels| *labels != self.labels);
        if let Some(labels) = changed {
            info!(file = %self.path.display(), labels = labels.iter().count(), "read the namespace labels file");
            self.labels = labels;
            return true;
        }
        false
    }

    /// Calls `on_change` with the new labels whenever they change, for ever.
    pub(crate) async fn watch(mut self, mut on_change: impl FnMut(&NamespaceLabels)) {
        let mut timer = interval(PERIOD);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            timer.tick().await;
            if self.reload() {
                on_change(&self.labels);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(text: &str) -> NamespaceLabels {
        NamespaceLabels::parse(text).unwrap()
    }

    #[test]
    fn a_missing_file_means_no_labels_and_one_that_appears_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.yaml");
        let mut file = LabelsFile::load(path.clone());
        assert_eq!(file.labels(), &NamespaceLabels::default());
        fs::write(&path, "a: b").unwrap();
        assert!(file.reload());
        assert_eq!(file.labels(), &labels("a: b"));
    }

    #[test]
    fn the_last_good_file_stays_in_force_when_a_new_one_is_malformed_or_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.yaml");
        fs::write(&path, "a: b").unwrap();
        let mut file = LabelsFile::load(path.clone());
        fs::write(&path, "- not\n- a mapping").unwrap();
        assert!(!file.reload());
        assert_eq!(file.labels(), &labels("a: b"));
        fs::remove_file(&path).unwrap();
        assert!(!file.reload());
        assert_eq!(file.labels(), &labels("a: b"));
        fs::write(&path, "a: c").unwrap();
        assert!(file.reload());
        assert_eq!(file.labels(), &labels("a: c"));
    }
}
