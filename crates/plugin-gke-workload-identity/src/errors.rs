//! What Google's errors mean.

use std::{error::Error as StdError, time::Duration};

use google_cloud_gax::error::{
    Error,
    rpc::{Code, StatusDetails},
};
use profile_plugin::{Cause, PluginError};

/// An error of the client, with what was tried in front.
pub(crate) fn plugin_error(what: &str, error: &Error) -> PluginError {
    if error.is_authentication() {
        let message = format!(
            "{what}: the controller has no Google Cloud credentials that work ({}): give its pod an identity, or set \
             GOOGLE_APPLICATION_CREDENTIALS",
            with_sources(error)
        );
        return PluginError::new(Cause::Credentials, message);
    }
    if let Some(status) = error.status() {
        let cause = match status.code {
            Code::Aborted => Cause::Conflict,
            Code::Unauthenticated => Cause::Credentials,
            Code::PermissionDenied => Cause::PermissionDenied,
            Code::NotFound => Cause::NotFound,
            Code::ResourceExhausted => Cause::Throttled { after: retry_after(error) },
            Code::Unavailable | Code::Internal | Code::DeadlineExceeded | Code::Unknown => Cause::Unavailable,
            _ if error.http_status_code() == Some(409) => Cause::Conflict,
            _ => Cause::Refused,
        };
        let message = format!("{what}: Google Cloud answers {}: {}", status.code.name(), status.message);
        return PluginError::new(cause, message);
    }
    let cause = match error.http_status_code() {
        Some(401) => Cause::Credentials,
        Some(403) => Cause::PermissionDenied,
        Some(404) => Cause::NotFound,
        Some(409) => Cause::Conflict,
        Some(429) => Cause::Throttled { after: retry_after(error) },
        Some(400..=499) => Cause::Refused,
        _ => Cause::Unavailable,
    };
    PluginError::new(cause, format!("{what}: {}", with_sources(error)))
}

/// When Google says to come back.
fn retry_after(error: &Error) -> Option<Duration> {
    let details = error.status().into_iter().flat_map(|status| &status.details);
    let in_details = details.filter_map(|detail| match detail {
        StatusDetails::RetryInfo(info) => {
            let delay = info.retry_delay.as_ref()?;
            Some(Duration::from_secs(u64::try_from(delay.seconds()).ok()?))
        }
        _ => None,
    });
    let header = error.http_headers().and_then(|headers| headers.get("retry-after"));
    let in_header = header.and_then(|value| value.to_str().ok()?.parse().ok()).map(Duration::from_secs);
    in_details.max().or(in_header)
}

/// An error with everything that it came from: the outermost often says little.
pub(crate) fn with_sources(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}
