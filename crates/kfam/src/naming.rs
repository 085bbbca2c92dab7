//! The names of a binding's objects.

use profile_render::{Owner, contributor::Role};
use sha2::{Digest, Sha256};

/// The longest name of a Kubernetes object.
const LONGEST: usize = 253;
/// How many characters tell apart two subjects of one name.
const SUFFIX: usize = 10;

/// The name that the reference gives, a contract: kind and name of the user, kind and name of the role, in lower case, every run
/// of other characters than letters and digits a `-`. Different subjects can have one name.
pub(crate) fn reference_name(subject: &Owner, role: Role) -> String {
    let raw = format!("{}-{}-ClusterRole-{role}", subject.kind().as_str(), subject.name());
    let mut name = String::with_capacity(raw.len());
    for character in raw.chars() {
        if character.is_ascii_alphanumeric() {
            name.push(character.to_ascii_lowercase());
        } else if !name.ends_with('-') {
            name.push('-');
        }
    }
    if name.len() > LONGEST { suffixed(&name, subject, role) } else { name }
}

/// The name for a subject whose reference name is taken by somebody else: the same, and a suffix that follows from who it is.
pub(crate) fn own_name(subject: &Owner, role: Role) -> String {
    suffixed(&reference_name(subject, role), subject, role)
}

fn suffixed(name: &str, subject: &Owner, role: Role) -> String {
    let mut hash = Sha256::new();
    for part in
        [subject.kind().as_str(), subject.namespace().unwrap_or_default(), subject.name(), role.as_str()]
    {
        hash.update(part);
        hash.update([0]);
    }
    let digest: String = hash.finalize().iter().take(SUFFIX / 2).map(|byte| format!("{byte:02x}")).collect();
    // The name is ASCII here.
    let kept = name.get(..name.len().min(LONGEST - SUFFIX - 1)).unwrap_or(name).trim_end_matches('-');
    format!("{kept}-{digest}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn user(name: &str) -> Owner {
        Owner::User(name.to_owned())
    }

    #[test]
    fn names_are_those_of_the_reference() {
        for (subject, role, name) in [
            (user("jane@example.com"), Role::Edit, "user-jane-example-com-clusterrole-edit"),
            (user("Jane.Doe@Example.com"), Role::Admin, "user-jane-doe-example-com-clusterrole-admin"),
            (user("a..@b"), Role::View, "user-a-b-clusterrole-view"),
            (user("@"), Role::View, "user-clusterrole-view"),
            (user("jané"), Role::View, "user-jan-clusterrole-view"),
            (Owner::Group("vision team".to_owned()), Role::View, "group-vision-team-clusterrole-view"),
            (
                Owner::ServiceAccount { namespace: "ci".to_owned(), name: "runner".to_owned() },
                Role::Edit,
                "serviceaccount-runner-clusterrole-edit",
            ),
        ] {
            assert_eq!(reference_name(&subject, role), name);
        }
    }

    #[test]
    fn users_who_share_a_reference_name_have_names_of_their_own() {
        let (dot, dash) = (user("a.b@x"), user("a-b@x"));
        assert_eq!(reference_name(&dot, Role::Edit), reference_name(&dash, Role::Edit));
        assert_ne!(own_name(&dot, Role::Edit), own_name(&dash, Role::Edit));
        assert_eq!(own_name(&dot, Role::Edit), own_name(&dot, Role::Edit));
    }

    proptest! {
        #[test]
        fn every_name_is_one_that_kubernetes_takes(name in ".{1,1024}", role in 0..3_usize) {
            let subject = user(&name);
            for name in [reference_name(&subject, Role::ALL[role]), own_name(&subject, Role::ALL[role])] {
                prop_assert!(name.len() <= LONGEST);
                prop_assert!(name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')));
                prop_assert!(!name.starts_with('-') && !name.ends_with('-'));
            }
        }
    }
}
