//! Who asks. The mesh vouches for the workload that is calling; of those that are trusted, what they say about the user
//! counts. Pure: from headers and settings to a [`Caller`].

use http::{HeaderMap, HeaderValue};

use crate::xfcc;

/// The header in which the sidecar says whose certificate it has verified.
pub(crate) const CLIENT_CERT_HEADER: &str = "x-forwarded-client-cert";
/// The longest user name; what RBAC subjects may have here.
const LONGEST_USER: usize = 1024;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The central dashboard on its own account: it reads, registers users, and asks who is an admin.
    Dashboard,
    /// A user, for whom a trusted workload vouches.
    User(String),
}

impl Caller {
    /// The user, if it is one.
    pub fn user(&self) -> Option<&str> {
        match self {
            Self::Dashboard => None,
            Self::User(name) => Some(name),
        }
    }

    /// For the audit log.
    pub(crate) fn describe(&self) -> &str {
        self.user().unwrap_or("(dashboard)")
    }
}

/// Whose word counts, and how it is read.
#[derive(Clone, Debug)]
pub struct IdentityConfig {
    /// Header that carries the user, in lower case.
    pub userid_header: String,
    /// What stands in front of the user's name in it.
    pub userid_prefix: String,
    /// Mesh identities of the workloads that are answered.
    pub trusted: Vec<String>,
    /// Those among them that are answered without a user.
    pub dashboards: Vec<String>,
    /// Answer anybody, as the reference does.
    pub trust_all: bool,
}

/// Why nobody is recognised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unidentified {
    /// There is no proof of the calling workload, or one that is malformed.
    NoPeer,
    /// The calling workload is not one that is answered.
    Untrusted(String),
    /// The workload is answered only with a user.
    NoUser,
    /// The user header is not as it has to be; and why.
    BadUser(&'static str),
}

/// Recognises the caller by the headers of a request.
pub(crate) fn identify(headers: &HeaderMap, config: &IdentityConfig) -> Result<Caller, Unidentified> {
    let peer = if config.trust_all { None } else { Some(trusted_peer(headers, config)?) };
    if let Some(user) = user(headers, config)? {
        return Ok(Caller::User(user));
    }
    if peer.is_none_or(|peer| config.dashboards.contains(&peer)) {
        Ok(Caller::Dashboard)
    } else {
        Err(Unidentified::NoUser)
    }
}

fn trusted_peer(headers: &HeaderMap, config: &IdentityConfig) -> Result<String, Unidentified> {
    // Envoy makes one header of several; if there are two, it was not Envoy that sent them.
    let header = single(headers, CLIENT_CERT_HEADER).map_err(|_| Unidentified::NoPeer)?;
    let header = header.and_then(|value| value.to_str().ok()).ok_or(Unidentified::NoPeer)?;
    let peer = xfcc::principal(header).ok_or(Unidentified::NoPeer)?;
    if config.trusted.contains(&peer) { Ok(peer) } else { Err(Unidentified::Untrusted(peer)) }
}

/// `None` when there is no such header.
fn user(headers: &HeaderMap, config: &IdentityConfig) -> Result<Option<String>, Unidentified> {
    let several = |_| Unidentified::BadUser("it is there more than once");
    let Some(value) = single(headers, &config.userid_header).map_err(several)? else {
        return Ok(None);
    };
    let bad = |problem| Err(Unidentified::BadUser(problem));
    let Ok(value) = std::str::from_utf8(value.as_bytes()) else {
        return bad("it is not UTF-8");
    };
    let Some(user) = value.strip_prefix(config.userid_prefix.as_str()) else {
        return bad("it does not begin with the prefix that users have here");
    };
    if user.is_empty() {
        return bad("it names nobody");
    }
    if user.len() > LONGEST_USER {
        return bad("the name is too long");
    }
    if user.trim() != user || user.contains(char::is_control) {
        return bad("there is white space around the name or a control character in it");
    }
    Ok(Some(user.to_owned()))
}

/// The one value of a header, if there is one.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a HeaderValue>, ()> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() { Err(()) } else { Ok(first) }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    const DASHBOARD: &str = "cluster.local/ns/kubeflow/sa/dashboard";
    const GATEWAY: &str = "cluster.local/ns/istio-system/sa/gateway";

    fn config(prefix: &str) -> IdentityConfig {
        IdentityConfig {
            userid_header: "kubeflow-userid".to_owned(),
            userid_prefix: prefix.to_owned(),
            trusted: vec![DASHBOARD.to_owned(), GATEWAY.to_owned()],
            dashboards: vec![DASHBOARD.to_owned()],
            trust_all: false,
        }
    }

    fn headers(peer: Option<&str>, users: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(peer) = peer {
            let value = format!("By=spiffe://x;Hash=1;Subject=\"\";URI=spiffe://{peer}");
            headers.append(CLIENT_CERT_HEADER, value.parse().unwrap());
        }
        for user in users {
            let value = HeaderValue::from_bytes(user.as_bytes()).unwrap();
            headers.append(HeaderName::from_static("kubeflow-userid"), value);
        }
        headers
    }

    #[test]
    fn the_table() {
        let jane = || Ok(Caller::User("jane".to_owned()));
        for (peer, users, prefix, expected) in [
            (Some(DASHBOARD), &["jane"][..], "", jane()),
            (Some(GATEWAY), &["jane"], "", jane()),
            (Some(GATEWAY), &["accounts:jane"], "accounts:", jane()),
            (Some(DASHBOARD), &[], "", Ok(Caller::Dashboard)),
            (Some(GATEWAY), &[], "", Err(Unidentified::NoUser)),
            (None, &["jane"], "", Err(Unidentified::NoPeer)),
            (None, &[], "", Err(Unidentified::NoPeer)),
            (
                Some("cluster.local/ns/a/sa/b"),
                &["jane"],
                "",
                Err(Unidentified::Untrusted("cluster.local/ns/a/sa/b".to_owned())),
            ),
            (
                Some("other/ns/kubeflow/sa/dashboard"),
                &[],
                "",
                Err(Unidentified::Untrusted("other/ns/kubeflow/sa/dashboard".to_owned())),
            ),
        ] {
            assert_eq!(
                identify(&headers(peer, users), &config(prefix)),
                expected,
                "{peer:?} {users:?} {prefix:?}"
            );
        }
    }

    #[test]
    fn a_user_header_that_is_not_as_it_has_to_be_is_refused_and_never_ignored() {
        for peer in [DASHBOARD, GATEWAY] {
            for (users, prefix) in [
                (&["jane", "jane"][..], ""),
                (&["jane", "joe"], ""),
                (&[""], ""),
                (&["accounts:"], "accounts:"),
                (&["acc"], "accounts:"),
                (&["jane"], "accounts:"),
                (&["ACCOUNTS:jane"], "accounts:"),
                (&["accounts: jane"], "accounts:"),
                (&["jane\tdoe"], ""),
            ] {
                let found = identify(&headers(Some(peer), users), &config(prefix));
                assert!(matches!(found, Err(Unidentified::BadUser(_))), "{users:?} {prefix:?}: {found:?}");
            }
            let long = "x".repeat(LONGEST_USER + 1);
            assert!(identify(&headers(Some(peer), &[&long]), &config("")).is_err());
        }
        let mut not_text = headers(Some(GATEWAY), &[]);
        not_text.insert("kubeflow-userid", HeaderValue::from_bytes(b"\xff\xfe").unwrap());
        assert!(matches!(identify(&not_text, &config("")), Err(Unidentified::BadUser(_))));
    }

    #[test]
    fn two_proofs_of_the_peer_are_none() {
        let mut twice = headers(Some(DASHBOARD), &["jane"]);
        let again = twice[CLIENT_CERT_HEADER].clone();
        twice.append(CLIENT_CERT_HEADER, again);
        assert_eq!(identify(&twice, &config("")), Err(Unidentified::NoPeer));
    }

    #[test]
    fn whoever_trusts_all_callers_takes_the_header_from_anybody_but_not_a_bad_one() {
        let config = IdentityConfig { trust_all: true, ..config("a:") };
        assert_eq!(identify(&headers(None, &["a:jane"]), &config), Ok(Caller::User("jane".to_owned())));
        assert_eq!(identify(&headers(None, &[]), &config), Ok(Caller::Dashboard));
        assert!(identify(&headers(None, &["jane"]), &config).is_err());
    }
}
