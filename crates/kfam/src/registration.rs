//! Names for new Profiles: which one to suggest to a user, and whether one can be had.

use kube::core::ObjectMeta;
use profile_api::{ProfileSpec, Subject};
use profile_render::validate;

use crate::{error::ApiError, identity::Caller, service::Service};

/// The longest name of a namespace.
const LONGEST: usize = 63;
/// What a user is offered whose name has nothing that a namespace's name may have.
const FALLBACK: &str = "workspace";

impl Service {
    /// Whether a name can be had, as far as is known without asking the API server.
    ///
    /// # Errors
    /// With what is wrong with it, in the words that registering it would be refused with.
    pub(crate) fn check_name(&self, caller: &Caller, name: &str) -> Result<(), ApiError> {
        self.filled()?;
        let spec = ProfileSpec::owned_by(Subject::user(caller.user().unwrap_or_default()));
        let named = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
        validate(&named, &spec, &self.config().platform)?;
        match self.index().profile(name) {
            Some(_) => Err(ApiError::name_taken(name)),
            None => Ok(()),
        }
    }

    /// A name that the user can have: made of their own.
    pub(crate) fn suggest_name(&self, caller: &Caller) -> String {
        suggest(caller.user().unwrap_or_default(), |name| self.check_name(caller, name).is_ok())
    }
}

/// What stands before the `@`, in the letters that a namespace's name may have; with a number if it is not free.
fn suggest(user: &str, is_free: impl Fn(&str) -> bool) -> String {
    let local = user.split('@').next().unwrap_or_default().to_lowercase();
    let mut name = String::new();
    for c in local.chars() {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    // Room for a number.
    name.truncate(LONGEST - 4);
    let name = name.trim_end_matches('-');
    let name = if name.is_empty() { FALLBACK } else { name };
    let numbered = (2..1000).map(|number| format!("{name}-{number}"));
    std::iter::once(name.to_owned()).chain(numbered).find(|name| is_free(name)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suggested_name_is_made_of_the_users() {
        let long = "x".repeat(200);
        for (user, expected) in [
            ("jane@example.com", "jane"),
            ("Jane.Doe+ml@example.com", "jane-doe-ml"),
            ("jane", "jane"),
            ("..jane..", "jane"),
            ("42@example.com", "42"),
            ("@example.com", "workspace"),
            ("名前@example.com", "workspace"),
            (long.as_str(), &"x".repeat(59)),
        ] {
            assert_eq!(suggest(user, |_| true), expected, "{user}");
        }
    }

    #[test]
    fn a_name_that_is_taken_gets_a_number() {
        assert_eq!(suggest("jane@a", |name| !matches!(name, "jane" | "jane-2")), "jane-3");
        assert_eq!(suggest("jane@a", |_| false), "", "none is free: the field is empty");
    }
}
