//! The labels that a platform gives to the namespaces of Profiles, from the namespace labels file.
//!
//! The file adds and removes, it does not overwrite: a label that somebody else has set keeps their value. What was set
//! from the file is recorded on the namespace, so that such a label follows the file as long as nobody else changes it.

use std::collections::BTreeMap;

use profile_api::names::{ISTIO_INJECTION_LABEL, PROFILE_LABEL};
use thiserror::Error;

/// The value of [`ISTIO_INJECTION_LABEL`] unless the file says otherwise.
pub const ISTIO_INJECTION_ENABLED: &str = "enabled";

/// What the namespace labels file asks for: a value to add, or (an empty value) a label to remove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NamespaceLabels(BTreeMap<String, String>);

/// Why a namespace labels file cannot be used.
#[derive(Debug, Error)]
pub enum LabelsFileError {
    /// The text is not a YAML mapping from text to text.
    #[error(
        "not a YAML mapping of label keys to quoted values (such as `example.com/team: \"vision\"`): {0}"
    )]
    Yaml(String),
    /// A key or value that Kubernetes would refuse, or that must not be set here.
    #[error("label {key:?}: {problem}")]
    Label {
        /// The label's key.
        key: String,
        /// What is wrong with it and what would be right.
        problem: String,
    },
}

/// The labels that a namespace should have, and the record of those that came from the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ResolvedLabels {
    /// Value of each label that is decided here; `None` means that it must not be there.
    pub(crate) labels: BTreeMap<String, Option<String>>,
    /// Labels that have the value that was set from the file.
    pub(crate) applied: BTreeMap<String, String>,
}

impl NamespaceLabels {
    /// Reads a namespace labels file: a YAML mapping of label keys to values, where an empty value removes the label.
    /// An empty file asks for nothing.
    ///
    /// # Errors
    /// When the text is not such a mapping, or a label is not valid in Kubernetes or is reserved for the controller.
    pub fn parse(text: &str) -> Result<Self, LabelsFileError> {
        let labels: Option<BTreeMap<String, String>> =
            serde_saphyr::from_str(text).map_err(|error| LabelsFileError::Yaml(error.to_string()))?;
        let labels = labels.unwrap_or_default();
        for (key, value) in &labels {
            check(key, value).map_err(|problem| LabelsFileError::Label { key: key.clone(), problem })?;
        }
        Ok(Self(labels))
    }

    /// The labels of the file, in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Decides the labels of a namespace that has `current` labels, of which `applied` were set from the file before.
    pub(crate) fn resolve(
        &self,
        current: &BTreeMap<String, String>,
        applied: &BTreeMap<String, String>,
    ) -> ResolvedLabels {
        let mut resolved = ResolvedLabels::default();
        resolved.applied.extend(
            applied
                .iter()
                .filter(|(key, value)| current.get(*key) == Some(value) && !self.0.contains_key(*key))
                .map(|(key, value)| (key.clone(), value.clone())),
        );
        if !self.0.contains_key(ISTIO_INJECTION_LABEL) {
            let enabled = ISTIO_INJECTION_ENABLED.to_owned();
            resolved.labels.insert(ISTIO_INJECTION_LABEL.to_owned(), Some(enabled));
        }
        for (key, value) in &self.0 {
            if value.is_empty() {
                resolved.labels.insert(key.clone(), None);
            } else if may_set(key, current.get(key), applied.get(key)) {
                resolved.labels.insert(key.clone(), Some(value.clone()));
                resolved.applied.insert(key.clone(), value.clone());
            }
        }
        resolved
    }
}

/// Whether the file decides the value of a label: it is not there, or it has the value that was set from here.
fn may_set(key: &str, current: Option<&String>, applied: Option<&String>) -> bool {
    match current {
        None => true,
        Some(current) => {
            applied == Some(current) || (key == ISTIO_INJECTION_LABEL && current == ISTIO_INJECTION_ENABLED)
        }
    }
}

/// The rules of Kubernetes for labels, and the one label that is not for the file.
fn check(key: &str, value: &str) -> Result<(), String> {
    if key == PROFILE_LABEL {
        return Err("is set by the controller and cannot be set or removed from the file".to_owned());
    }
    let (prefix, name) = key.split_once('/').map_or((None, key), |(prefix, name)| (Some(prefix), name));
    if name.is_empty() || !is_label_text(name) {
        return Err("the name of a label is 1 to 63 letters, digits, '-', '_' or '.', with a letter or digit at both ends"
            .to_owned());
    }
    if prefix
        .is_some_and(|prefix| prefix.is_empty() || prefix.len() > 253 || !prefix.split('.').all(is_dns_label))
    {
        return Err("the part before '/' is a DNS name in lower case, such as example.com".to_owned());
    }
    if !is_label_text(value) {
        return Err(format!(
            "the value {value:?} is not at most 63 letters, digits, '-', '_' or '.', with a letter or digit at both ends"
        ));
    }
    Ok(())
}

fn is_label_text(text: &str) -> bool {
    let bytes = text.as_bytes();
    text.len() <= 63
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && bytes.first().is_none_or(u8::is_ascii_alphanumeric)
        && bytes.last().is_none_or(u8::is_ascii_alphanumeric)
}

/// Whether a text is a DNS label (RFC 1123) in lower case, as the name of a namespace has to be.
pub(crate) fn is_dns_label(text: &str) -> bool {
    let bytes = text.as_bytes();
    !text.is_empty()
        && text.len() <= 63
        && bytes.iter().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        && bytes.first() != Some(&b'-')
        && bytes.last() != Some(&b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn resolve(file: &[(&str, &str)], current: &[(&str, &str)], applied: &[(&str, &str)]) -> ResolvedLabels {
        NamespaceLabels(map(file)).resolve(&map(current), &map(applied))
    }

    fn label<'a>(resolved: &'a ResolvedLabels, key: &str) -> Option<Option<&'a str>> {
        resolved.labels.get(key).map(Option::as_deref)
    }

    #[test]
    fn a_missing_label_is_added_and_recorded() {
        let resolved = resolve(&[("a", "1")], &[], &[]);
        assert_eq!(label(&resolved, "a"), Some(Some("1")));
        assert_eq!(resolved.applied, map(&[("a", "1")]));
    }

    #[test]
    fn someone_elses_value_stays_and_is_not_recorded() {
        let resolved = resolve(&[("a", "1")], &[("a", "theirs")], &[]);
        assert_eq!(label(&resolved, "a"), None);
        assert!(resolved.applied.is_empty());
    }

    #[test]
    fn a_value_that_was_set_from_the_file_follows_the_file() {
        let resolved = resolve(&[("a", "2")], &[("a", "1")], &[("a", "1")]);
        assert_eq!(label(&resolved, "a"), Some(Some("2")));
        assert_eq!(resolved.applied, map(&[("a", "2")]));
    }

    #[test]
    fn a_value_that_was_changed_since_it_was_set_stays() {
        let resolved = resolve(&[("a", "2")], &[("a", "theirs")], &[("a", "1")]);
        assert_eq!(label(&resolved, "a"), None);
        assert!(resolved.applied.is_empty());
    }

    #[test]
    fn an_empty_value_removes_the_label_whoever_set_it() {
        let resolved = resolve(&[("a", "")], &[("a", "theirs")], &[]);
        assert_eq!(label(&resolved, "a"), Some(None));
    }

    #[test]
    fn a_line_that_leaves_the_file_leaves_the_label_and_its_record() {
        let resolved = resolve(&[], &[("a", "1")], &[("a", "1")]);
        assert_eq!(label(&resolved, "a"), None);
        assert_eq!(resolved.applied, map(&[("a", "1")]));
    }

    #[test]
    fn sidecar_injection_is_on_unless_the_file_says_otherwise() {
        let key = ISTIO_INJECTION_LABEL;
        assert_eq!(label(&resolve(&[], &[(key, "disabled")], &[]), key), Some(Some("enabled")));
        assert_eq!(label(&resolve(&[(key, "")], &[(key, "enabled")], &[]), key), Some(None));
        assert_eq!(
            label(&resolve(&[(key, "disabled")], &[(key, "enabled")], &[]), key),
            Some(Some("disabled"))
        );
    }

    #[test]
    fn a_labels_file_is_read_with_comments_and_empty_values() {
        let labels =
            NamespaceLabels::parse("# for all\nkatib.kubeflow.org/metrics: enabled\nold: \"\"\n").unwrap();
        assert_eq!(
            labels.iter().collect::<Vec<_>>(),
            [("katib.kubeflow.org/metrics", "enabled"), ("old", "")]
        );
        assert_eq!(NamespaceLabels::parse("").unwrap(), NamespaceLabels::default());
        assert_eq!(NamespaceLabels::parse("# nothing\n").unwrap(), NamespaceLabels::default());
    }

    #[test]
    fn a_malformed_labels_file_is_refused_with_the_reason() {
        for (text, part) in [
            ("- a\n- b\n", "mapping"),
            ("a: [1]\n", "mapping"),
            ("a: 'not ok!'\n", "\"a\""),
            ("'bad key': x\n", "\"bad key\""),
            ("UPPER.example/x: y\n", "DNS name"),
            ("profiles.kubeflow.org/profile: x\n", "set by the controller"),
        ] {
            let error = NamespaceLabels::parse(text).expect_err(text).to_string();
            assert!(error.contains(part), "{text:?}: {error}");
        }
    }
}
