//! Names of Google service accounts.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

const DOMAIN: &str = ".iam.gserviceaccount.com";

/// The address of a Google service account.
///
/// ```
/// use plugin_gke_workload_identity::ServiceAccountEmail;
///
/// let email: ServiceAccountEmail = "trainer@vision.iam.gserviceaccount.com".parse().unwrap();
/// assert_eq!(email.project(), "vision");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceAccountEmail(String);

impl ServiceAccountEmail {
    /// The project that it belongs to. In an address, the domain of a project that has one comes last.
    pub fn project(&self) -> String {
        let host = self.0.split('@').nth(1).unwrap_or_default();
        let project = host.strip_suffix(DOMAIN).unwrap_or(host);
        match project.split_once('.') {
            Some((project, domain)) => format!("{domain}:{project}"),
            None => project.to_owned(),
        }
    }

    /// Its name as a resource of the IAM API.
    pub(crate) fn resource(&self) -> String {
        format!("projects/{}/serviceAccounts/{}", self.project(), self.0)
    }
}

impl FromStr for ServiceAccountEmail {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_name = |name: &str| {
            name.starts_with(|first: char| first.is_ascii_lowercase())
                && !name.ends_with('-')
                && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
        };
        let parts = text.split_once('@').and_then(|(name, host)| Some((name, host.strip_suffix(DOMAIN)?)));
        match parts {
            Some((name, project)) if is_name(name) && project.split('.').all(is_name) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(format!(
                "{text:?} is not the address of a Google service account: write NAME@PROJECT{DOMAIN}"
            )),
        }
    }
}

impl TryFrom<String> for ServiceAccountEmail {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ServiceAccountEmail> for String {
    fn from(email: ServiceAccountEmail) -> Self {
        email.0
    }
}

impl fmt::Display for ServiceAccountEmail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_their_projects() {
        for (text, resource) in [
            ("a@b.iam.gserviceaccount.com", "projects/b/serviceAccounts/a@b.iam.gserviceaccount.com"),
            (
                "a@b.example.com.iam.gserviceaccount.com",
                "projects/example.com:b/serviceAccounts/a@b.example.com.iam.gserviceaccount.com",
            ),
        ] {
            assert_eq!(text.parse::<ServiceAccountEmail>().unwrap().resource(), resource);
        }
    }

    #[test]
    fn anything_else_is_refused_with_the_form_that_is_right() {
        for text in [
            "",
            "jane@example.com",
            "a@.iam.gserviceaccount.com",
            "@b.iam.gserviceaccount.com",
            "a/x@b.iam.gserviceaccount.com",
            "a@b/x.iam.gserviceaccount.com",
            "A@b.iam.gserviceaccount.com",
            "123-compute@developer.gserviceaccount.com",
        ] {
            let problem = text.parse::<ServiceAccountEmail>().unwrap_err();
            assert!(problem.contains("write NAME@PROJECT.iam.gserviceaccount.com"), "{problem}");
        }
    }
}
