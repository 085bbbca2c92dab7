//! Words for what has a name in Kubernetes.

use profile_api::SubjectKind;
use profile_render::contributor::Role;

/// A role, with what it allows.
pub(super) fn role_text(role: Role) -> &'static str {
    match role {
        Role::View => "view: look at everything",
        Role::Edit => "edit: work in it",
        Role::Admin => "admin: work in it and share it",
    }
}

/// A kind of subject.
pub(super) fn kind_text(kind: SubjectKind) -> &'static str {
    match kind {
        SubjectKind::User => "User",
        SubjectKind::Group => "Group",
        SubjectKind::ServiceAccount => "Service account",
    }
}
