//! The header `x-forwarded-client-cert`, in which Envoy says whose certificate it has verified.
//!
//! It is a list, separated by commas, to which each proxy on the way appends the peer that it has seen. Only the last element
//! is the word of our own proxy; what stands before it came with the request and may be anything. An element is a list of
//! `key=value`, separated by semicolons, where a value may stand in double quotes, with `\` before what would end it.
//!
//! Reading is strict: a header that is not well-formed says nothing at all, because quotes that do not match can make one
//! element look like another.

/// What the SPIFFE id of a workload begins with, before the principal as Istio's policies write it.
const SPIFFE: &str = "spiffe://";

/// The mesh identity (`<trust domain>/ns/<namespace>/sa/<service account>`) of the workload that is calling; `None` if the header
/// is malformed, or its last element does not name exactly one.
pub(crate) fn principal(header: &str) -> Option<String> {
    let last = elements(header)?.pop()?;
    let mut uris = last.into_iter().filter(|(key, _)| key.eq_ignore_ascii_case("uri"));
    let (_, uri) = uris.next()?;
    if uris.next().is_some() {
        return None;
    }
    let principal = uri.strip_prefix(SPIFFE)?;
    (!principal.is_empty()).then(|| principal.to_owned())
}

type Element = Vec<(String, String)>;

fn elements(header: &str) -> Option<Vec<Element>> {
    let mut rest = header;
    let mut elements = vec![Vec::new()];
    loop {
        let (pair, after) = pair(rest)?;
        elements.last_mut()?.push(pair);
        let mut characters = after.chars();
        match characters.next() {
            None => return Some(elements),
            Some(',') => elements.push(Vec::new()),
            Some(';') => {}
            Some(_) => return None,
        }
        rest = characters.as_str();
    }
}

/// A `key=value`, and what comes after it.
fn pair(text: &str) -> Option<((String, String), &str)> {
    let (key, text) = text.split_once('=')?;
    let key = key.trim_start_matches(' ');
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let (value, rest) = match text.strip_prefix('"') {
        Some(quoted) => quoted_value(quoted)?,
        None => {
            let end = text.find([',', ';']).unwrap_or(text.len());
            let (value, rest) = text.split_at(end);
            if value.contains('"') {
                return None;
            }
            (value.to_owned(), rest)
        }
    };
    Some(((key.to_owned(), value), rest))
}

fn quoted_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(characters.next()?),
            other => value.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DASHBOARD: &str = "cluster.local/ns/kubeflow/sa/dashboard";

    /// What Istio's sidecar appends for a peer.
    fn appended(principal: &str) -> String {
        format!(
            "By=spiffe://cluster.local/ns/kubeflow/sa/kfam;Hash=0a1b;Subject=\"\";URI=spiffe://{principal}"
        )
    }

    #[test]
    fn the_last_element_names_the_caller() {
        let one = appended(DASHBOARD);
        for (header, expected) in [
            (one.clone(), Some(DASHBOARD)),
            (format!("{},{one}", appended("evil/ns/a/sa/b")), Some(DASHBOARD)),
            (format!("{one},{}", appended("cluster.local/ns/a/sa/b")), Some("cluster.local/ns/a/sa/b")),
            (format!("{one}, {}", appended("cluster.local/ns/a/sa/b")), Some("cluster.local/ns/a/sa/b")),
            ("URI=spiffe://td/ns/a/sa/b".to_owned(), Some("td/ns/a/sa/b")),
            ("uri=\"spiffe://td/ns/a/sa/b\"".to_owned(), Some("td/ns/a/sa/b")),
            (
                "Subject=\"CN=a,O=\\\"x;URI=spiffe://evil\\\"\";URI=spiffe://td/ns/a/sa/b".to_owned(),
                Some("td/ns/a/sa/b"),
            ),
        ] {
            assert_eq!(principal(&header).as_deref(), expected, "{header}");
        }
    }

    #[test]
    fn what_does_not_name_exactly_one_workload_names_none() {
        for header in [
            "",
            ",",
            "URI=",
            "URI=spiffe://",
            "URI=https://example.com",
            "By=spiffe://cluster.local/ns/kubeflow/sa/dashboard",
            "URI=spiffe://a;URI=spiffe://b",
            "URI=spiffe://a,",
            "URI=spiffe://a,Hash=1",
            "URI=\"spiffe://a",
            "URI=\"spiffe://a\"x",
            "URI=spiffe://a\"",
            "spiffe://a",
            "=spiffe://a",
            "URI=spiffe://a;",
            "Subject=\"URI=spiffe://a\"",
            "Subject=\"\\",
        ] {
            assert_eq!(principal(header), None, "{header}");
        }
    }

    proptest! {
        /// Whatever a client sends along, only what our own proxy appends counts.
        #[test]
        fn a_client_cannot_choose_its_identity(sent in "[a-zA-Z=;,\"\\\\/: ]{0,40}|(URI=spiffe://evil[;,]?|Subject=\"|\"|\\\\|,|;|=){0,8}") {
            let header = format!("{sent},{}", appended(DASHBOARD));
            let named = principal(&header);
            prop_assert!(named.is_none() || named.as_deref() == Some(DASHBOARD), "{header} names {named:?}");
        }

        #[test]
        fn any_text_is_read_without_a_panic(header in any::<String>()) {
            let _ = principal(&header);
        }
    }
}
