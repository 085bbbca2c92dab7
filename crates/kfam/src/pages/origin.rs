//! Whether a request that changes something comes from a page of ours. Pure: from its headers to yes or no.

use http::{HeaderMap, HeaderValue, header};

/// Whether it does. A browser says so in `Sec-Fetch-Site`; one that is old, or that talks plain HTTP, may leave that out, and
/// then `Origin`, or else `Referer`, must name the host that was asked. Who says nothing is refused: every browser sends one of
/// them with a form.
pub(super) fn is_own_page(headers: &HeaderMap) -> bool {
    let Ok(site) = single(headers, "sec-fetch-site") else {
        return false;
    };
    match site {
        Some("same-origin") => return true,
        // The user's own doing: a form sent again after the browser was restarted. What a page of another site causes is never
        // called so.
        Some("none") => return true,
        Some(_) => return false,
        None => {}
    }
    let (Ok(Some(host)), Ok(origin), Ok(referer)) = (
        single(headers, header::HOST.as_str()),
        single(headers, header::ORIGIN.as_str()),
        single(headers, header::REFERER.as_str()),
    ) else {
        return false;
    };
    origin.or(referer).and_then(authority).is_some_and(|from| from.eq_ignore_ascii_case(host))
}

/// Host and port of an address, without a port that goes without saying; nothing for `null`.
fn authority(address: &str) -> Option<&str> {
    let (scheme, rest) = address.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    // What stands before an `@` is not the host.
    if !matches!(scheme, "http" | "https") || authority.is_empty() || authority.contains('@') {
        return None;
    }
    Some(authority)
}

/// The one value of a header, if there is one.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, ()> {
    let mut values = headers.get_all(name).iter().map(HeaderValue::to_str);
    let first = values.next().transpose().map_err(|_| ())?;
    if values.next().is_some() { Err(()) } else { Ok(first) }
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    #[test]
    fn the_table() {
        for (headers, expected) in [
            ("host: kf.example", false),
            ("host: kf.example|sec-fetch-site: same-origin", true),
            ("host: kf.example|sec-fetch-site: none", true),
            ("host: kf.example|sec-fetch-site: same-site", false),
            ("host: kf.example|sec-fetch-site: cross-site", false),
            ("host: kf.example|sec-fetch-site: ", false),
            ("host: kf.example|sec-fetch-site: cross-site|origin: https://kf.example", false),
            ("host: kf.example|sec-fetch-site: same-origin|sec-fetch-site: cross-site", false),
            ("host: kf.example|origin: https://kf.example", true),
            ("host: kf.example|origin: http://kf.example", true),
            ("host: KF.example|origin: https://kf.EXAMPLE", true),
            ("host: kf.example:8080|origin: http://kf.example:8080", true),
            ("host: kf.example:8080|origin: http://kf.example", false),
            ("host: kf.example|origin: https://kf.example.evil", false),
            ("host: kf.example|origin: https://evil/kf.example", false),
            ("host: kf.example|origin: https://kf.example@evil", false),
            ("host: kf.example|origin: https://evil@kf.example", false),
            ("host: kf.example|origin: null", false),
            ("host: kf.example|origin: kf.example", false),
            ("host: kf.example|origin: ftp://kf.example", false),
            ("host: kf.example|origin: https://evil|referer: https://kf.example/", false),
            ("host: kf.example|origin: https://kf.example|origin: https://evil", false),
            ("host: kf.example|referer: https://kf.example/kfam/ui/", true),
            ("host: kf.example|referer: https://evil/?https://kf.example/", false),
            ("origin: https://kf.example", false),
            ("origin: https://|host: ", false),
            ("host: a|host: kf.example|origin: https://kf.example", false),
        ] {
            let mut map = HeaderMap::new();
            for line in headers.split('|') {
                let (name, value) = line.split_once(": ").unwrap();
                map.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
            }
            assert_eq!(is_own_page(&map), expected, "{headers}");
        }
    }
}
