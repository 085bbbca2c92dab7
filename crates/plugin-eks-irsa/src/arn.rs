//! Names of roles and providers in IAM.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Issuer;

/// The ARN of an IAM role, of any partition, with or without a path.
///
/// ```
/// use plugin_eks_irsa::RoleArn;
///
/// let role: RoleArn = "arn:aws-cn:iam::123456789012:role/teams/vision/reader".parse().unwrap();
/// assert_eq!((role.partition(), role.name()), ("aws-cn", "reader"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoleArn(String);

/// What is right.
const EXPECTED: &str = "write the ARN of an IAM role, such as arn:aws:iam::123456789012:role/NAME";

impl FromStr for RoleArn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let refused = |what: String| Err(format!("{text:?} is not valid: {what}; {EXPECTED}"));
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let &["arn", partition, "iam", "", account, resource] = parts.as_slice() else {
            return refused("it is not of the form arn:PARTITION:iam::ACCOUNT:role/NAME".to_owned());
        };
        let is_partition = partition == "aws"
            || partition
                .strip_prefix("aws-")
                .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
        if !is_partition {
            return refused(format!("{partition:?} is not a partition of AWS"));
        }
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return refused(format!("{account:?} is not an account number of 12 digits"));
        }
        let Some(path_and_name) = resource.strip_prefix("role/") else {
            return refused(format!("{resource:?} is not a role"));
        };
        let name = path_and_name.rsplit('/').next().unwrap_or_default();
        let is_name_character = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
        if name.is_empty() || name.len() > 64 || !name.bytes().all(is_name_character) {
            return refused(format!("{name:?} is not the name of a role"));
        }
        let path = &path_and_name[..path_and_name.len() - name.len()];
        if path.len() > 511 || path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
            return refused(format!("{path:?} is not the path of a role"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl RoleArn {
    /// The partition, such as `aws` or `aws-cn`.
    pub fn partition(&self) -> &str {
        self.part(1)
    }

    /// The name, without the path.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The provider that an issuer is in the account of this role.
    pub(crate) fn oidc_provider(&self, issuer: &Issuer) -> String {
        format!("arn:{}:iam::{}:oidc-provider/{}", self.partition(), self.part(4), issuer.without_scheme())
    }

    fn part(&self, index: usize) -> &str {
        self.0.split(':').nth(index).unwrap_or_default()
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for RoleArn {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<RoleArn> for String {
    fn from(arn: RoleArn) -> Self {
        arn.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_of_every_partition_and_with_paths_are_read() {
        for text in [
            "arn:aws:iam::123456789012:role/reader",
            "arn:aws-cn:iam::123456789012:role/reader",
            "arn:aws-us-gov:iam::123456789012:role/a/b/reader+x=1,2.@_-",
            "arn:aws:iam::123456789012:role/aws:reserved/sso.amazonaws.com/x",
        ] {
            assert_eq!(text.parse::<RoleArn>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn anything_else_is_refused_with_what_would_be_right() {
        for (text, expected) in [
            (
                "arn:aws:iam::account-id:role/s3-reader",
                "\"account-id\" is not an account number of 12 digits",
            ),
            ("arn:aws:iam::123456789012:user/x", "\"user/x\" is not a role"),
            ("arn:aws:iam::123456789012:role/", "\"\" is not the name of a role"),
            ("arn:aws:iam::123456789012:role/a/", "\"\" is not the name of a role"),
            ("arn:aws:iam::123456789012:role//a", "\"/\" is not the path of a role"),
            ("arn:gcp:iam::123456789012:role/a", "\"gcp\" is not a partition of AWS"),
            ("arn:aws:iam:eu:123456789012:role/a", "it is not of the form"),
            ("reader", "it is not of the form"),
            ("", "it is not of the form"),
        ] {
            let problem = text.parse::<RoleArn>().unwrap_err();
            assert!(problem.contains(expected), "{problem}");
            assert!(problem.contains("arn:aws:iam::123456789012:role/NAME"), "{problem}");
        }
    }
}
