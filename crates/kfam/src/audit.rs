//! The audit log: one line for every attempt to change something, with who, what, whom, and what came of it.

use profile_api::Subject;
use tracing::{info, warn};

use crate::{error::ApiError, identity::Caller, wire::Sharing};

/// An attempt to change something.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change<'a> {
    CreateProfile { name: &'a str, owner: &'a Subject },
    DeleteProfile { name: &'a str },
    AddBinding(&'a Sharing),
    RemoveBinding(&'a Sharing),
}

/// Writes the line.
pub(crate) fn record<T>(caller: &Caller, change: Change<'_>, result: &Result<T, ApiError>) {
    let (action, profile, kind, subject, role) = match change {
        Change::CreateProfile { name, owner } => {
            ("create profile", name, owner.kind.as_str(), owner.name.as_str(), "")
        }
        Change::DeleteProfile { name } => ("delete profile", name, "", "", ""),
        Change::AddBinding(it) => (
            "create binding",
            it.namespace.as_str(),
            it.subject.kind().as_str(),
            it.subject.name(),
            it.role.as_str(),
        ),
        Change::RemoveBinding(it) => (
            "delete binding",
            it.namespace.as_str(),
            it.subject.kind().as_str(),
            it.subject.name(),
            it.role.as_str(),
        ),
    };
    let caller = caller.describe();
    match result {
        Ok(_) => info!(audit = true, caller, action, profile, kind, subject, role, result = "done", "audit"),
        Err(error) => {
            let (result, problem) = (error.error, error.message.as_str());
            if error.status.is_server_error() {
                warn!(audit = true, caller, action, profile, kind, subject, role, result, problem, "audit");
            } else {
                info!(audit = true, caller, action, profile, kind, subject, role, result, problem, "audit");
            }
        }
    }
}
