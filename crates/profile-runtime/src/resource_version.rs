//! The order of an object's states.

use kube::Resource;

/// Which state of an object this is. Those of one kind are ordered as numbers; one that is missing or no number counts as
/// newer than any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResourceVersion(u64);

impl ResourceVersion {
    /// Later than every state there is.
    pub const END: Self = Self(u64::MAX);
    const UNKNOWN: Self = Self(0);

    /// That of an object.
    pub fn of(object: &impl Resource) -> Self {
        object.meta().resource_version.as_deref().map_or(Self::UNKNOWN, Self::from)
    }

    /// Whether it is that of a later state.
    pub fn is_newer(self, than: Self) -> bool {
        self == Self::UNKNOWN || self.0 > than.0
    }
}

impl From<&str> for ResourceVersion {
    fn from(text: &str) -> Self {
        text.parse().map_or(Self::UNKNOWN, Self)
    }
}

impl From<u64> for ResourceVersion {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

#[cfg(test)]
mod tests {
    use super::ResourceVersion;

    fn is_newer(version: &str, than: &str) -> bool {
        ResourceVersion::from(version).is_newer(than.into())
    }

    #[test]
    fn they_are_compared_as_numbers_and_what_is_none_is_newer() {
        assert!(is_newer("10", "9"));
        assert!(!is_newer("9", "10"));
        assert!(!is_newer("9", "9"));
        assert!(is_newer("a", "9") && is_newer("", "9") && is_newer("", ""));
        assert!(!is_newer("18446744073709551614", "18446744073709551615"));
    }
}
