//! What IAM's errors mean.

use std::error::Error;

use aws_sdk_iam::{
    config::http::HttpResponse,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
};
use profile_plugin::{Cause, PluginError};

/// An error of the SDK, with what was tried in front.
pub(crate) fn plugin_error<E>(what: &str, error: SdkError<E, HttpResponse>) -> PluginError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let SdkError::ServiceError(service) = &error {
        let metadata = service.err().meta();
        let code = metadata.code().unwrap_or_default();
        let status = service.raw().status().as_u16();
        let said = metadata.message().unwrap_or("no message");
        let code_or_status = if code.is_empty() { format!("status {status}") } else { code.to_owned() };
        return PluginError::new(
            cause_of(code, status),
            format!("{what}: AWS answers {code_or_status}: {said}"),
        );
    }
    if is_about_credentials(&error) {
        let message = format!(
            "{what}: the controller has no AWS credentials ({}): give its pod a role, or set them in its environment",
            DisplayErrorContext(&error)
        );
        return PluginError::new(Cause::Credentials, message);
    }
    let message = match &error {
        SdkError::TimeoutError(_) => format!("{what}: no answer from AWS in time"),
        _ => format!("{what}: {}", DisplayErrorContext(&error)),
    };
    PluginError::new(Cause::Unavailable, message)
}

fn cause_of(code: &str, status: u16) -> Cause {
    match code {
        "Throttling" | "ThrottlingException" | "RequestLimitExceeded" | "TooManyRequestsException" => {
            Cause::Throttled { after: None }
        }
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => Cause::PermissionDenied,
        "InvalidClientTokenId"
        | "ExpiredToken"
        | "SignatureDoesNotMatch"
        | "MissingAuthenticationToken"
        | "UnrecognizedClientException" => Cause::Credentials,
        "NoSuchEntity" => Cause::NotFound,
        "LimitExceeded" => Cause::LimitExceeded,
        "ConcurrentModification" => Cause::Conflict,
        _ if status == 429 => Cause::Throttled { after: None },
        _ if status >= 500 => Cause::Unavailable,
        _ => Cause::Refused,
    }
}

/// Whether it failed for want of credentials: then no request was made.
fn is_about_credentials(error: &(dyn Error + 'static)) -> bool {
    let mut source = Some(error);
    while let Some(error) = source {
        if error.is::<aws_credential_types::provider::error::CredentialsError>() {
            return true;
        }
        source = error.source();
    }
    false
}
