//! The order of an object's states.

/// Whether a resource version is that of a later state. Those of one kind are ordered as numbers; where they are not
/// numbers, what comes later counts as newer.
pub fn is_newer(version: &str, than: &str) -> bool {
    match (version.parse::<u64>(), than.parse::<u64>()) {
        (Ok(version), Ok(than)) => version > than,
        _ => version != than,
    }
}

#[cfg(test)]
mod tests {
    use super::is_newer;

    #[test]
    fn numbers_are_compared_as_numbers_and_anything_else_by_difference() {
        assert!(is_newer("10", "9"));
        assert!(!is_newer("9", "10"));
        assert!(!is_newer("9", "9"));
        assert!(is_newer("b", "a") && is_newer("a", "b") && !is_newer("a", "a"));
    }
}
