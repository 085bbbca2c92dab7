//! Words for what has a name in Kubernetes. Templates hand over values and references alike.

use std::borrow::Borrow;

use profile_api::SubjectKind;
use profile_render::contributor::Role;

/// A role, with what it allows.
pub(super) fn role_text(role: impl Borrow<Role>) -> &'static str {
    match role.borrow() {
        Role::View => "view: look at everything",
        Role::Edit => "edit: work in it",
        Role::Admin => "admin: work in it and share it",
    }
}

/// A kind of subject.
pub(super) fn kind_text(kind: impl Borrow<SubjectKind>) -> &'static str {
    match kind.borrow() {
        SubjectKind::User => "User",
        SubjectKind::Group => "Group",
        SubjectKind::ServiceAccount => "Service account",
    }
}
