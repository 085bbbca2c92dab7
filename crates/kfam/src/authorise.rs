//! Who may do what: one pure function.

use profile_render::contributor::Role;

/// What the caller is, to this service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Party {
    /// The central dashboard on its own account.
    Dashboard,
    /// A user whom the platform names as a cluster admin.
    ClusterAdmin,
    /// Any other user.
    User,
}

/// What the caller is, to the Profile or the user that the request is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The Profile's spec names them as its owner; or, on a question about a user, it is they.
    pub owner: bool,
    /// The most that a RoleBinding in the Profile's namespace gives them.
    pub role: Option<Role>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Create a Profile; its owner is who the standing is about.
    CreateProfile {
        /// Whether it sets more than its owner, such as a quota.
        with_settings: bool,
    },
    /// Delete a Profile.
    DeleteProfile,
    /// Give somebody a role in a namespace, or take it away.
    Share(Role),
    /// See bindings.
    ReadBindings,
    /// See how a Profile is: its owner, whether it is ready, its limits.
    SeeProfile,
    /// See how all Profiles are.
    SeeAllProfiles,
    /// Learn whether a user is a cluster admin.
    AskClusterAdmin,
}

/// What is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// What was asked for, or everything there is to see.
    All,
    /// Only what concerns the caller.
    Own,
}

/// Why it is not allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// The dashboard has to say for which user it asks.
    UserNeeded,
    /// The caller is not the one who may.
    NotYours,
    /// The caller owns the Profile, but access to its namespace is not in place yet.
    NotInPlace,
    /// Only a cluster admin sets that.
    AdminsOnly,
}

/// Decides.
///
/// Sharing takes the role `admin`, as a RoleBinding in the namespace says it: owners have one from the controller, which makes
/// it only in a namespace that is theirs. With that role one has everything that one can give, so that nobody gives more than
/// they have.
pub fn authorise(party: Party, action: Action, standing: Standing) -> Result<Scope, Denial> {
    match (action, party) {
        (Action::ReadBindings, Party::User) => Ok(Scope::Own),
        (Action::ReadBindings, _) => Ok(Scope::All),
        (Action::SeeProfile, Party::User) if standing.owner || standing.role.is_some() => Ok(Scope::All),
        (Action::SeeProfile | Action::SeeAllProfiles, Party::User) => Err(Denial::NotYours),
        (Action::SeeProfile | Action::SeeAllProfiles, _) => Ok(Scope::All),
        (Action::AskClusterAdmin, Party::User) if standing.owner => Ok(Scope::Own),
        (Action::AskClusterAdmin, Party::User) => Err(Denial::NotYours),
        (Action::AskClusterAdmin, _) => Ok(Scope::All),
        (Action::CreateProfile { with_settings: true }, Party::Dashboard | Party::User) => {
            Err(Denial::AdminsOnly)
        }
        (Action::CreateProfile { .. }, Party::User) if !standing.owner => Err(Denial::NotYours),
        (Action::CreateProfile { .. }, _) => Ok(Scope::All),
        (Action::DeleteProfile | Action::Share(_), Party::Dashboard) => Err(Denial::UserNeeded),
        (Action::DeleteProfile | Action::Share(_), Party::ClusterAdmin) => Ok(Scope::All),
        (Action::DeleteProfile, Party::User) if standing.owner => Ok(Scope::All),
        (Action::DeleteProfile, Party::User) => Err(Denial::NotYours),
        (Action::Share(role), Party::User) => match standing.role {
            Some(Role::Admin) if role <= Role::Admin => Ok(Scope::All),
            _ if standing.owner => Err(Denial::NotInPlace),
            _ => Err(Denial::NotYours),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: Standing = Standing { owner: false, role: None };
    const OWNER: Standing = Standing { owner: true, role: Some(Role::Admin) };
    const NEW_OWNER: Standing = Standing { owner: true, role: None };
    const ADMIN: Standing = Standing { owner: false, role: Some(Role::Admin) };
    const EDIT: Standing = Standing { owner: false, role: Some(Role::Edit) };
    const VIEW: Standing = Standing { owner: false, role: Some(Role::View) };
    const STANDINGS: [Standing; 6] = [NOBODY, OWNER, NEW_OWNER, ADMIN, EDIT, VIEW];

    /// One line for an action and a party: what comes out for each of [`STANDINGS`]. `+` all, `o` own, and the first letter of
    /// each denial: `u`ser needed, not `y`ours, not in `p`lace, `a`dmins only.
    #[test]
    fn the_table() {
        use Party::{ClusterAdmin, Dashboard, User};
        let plain = Action::CreateProfile { with_settings: false };
        let settings = Action::CreateProfile { with_settings: true };
        let mut lines: Vec<(Action, Party, &str)> = vec![
            //                            nobody, owner, new owner, admin, edit, view
            (plain, Dashboard, "++++++"),
            (plain, ClusterAdmin, "++++++"),
            (plain, User, "y++yyy"),
            (settings, Dashboard, "aaaaaa"),
            (settings, ClusterAdmin, "++++++"),
            (settings, User, "aaaaaa"),
            (Action::DeleteProfile, Dashboard, "uuuuuu"),
            (Action::DeleteProfile, ClusterAdmin, "++++++"),
            (Action::DeleteProfile, User, "y++yyy"),
            (Action::ReadBindings, Dashboard, "++++++"),
            (Action::ReadBindings, ClusterAdmin, "++++++"),
            (Action::ReadBindings, User, "oooooo"),
            (Action::SeeProfile, Dashboard, "++++++"),
            (Action::SeeProfile, ClusterAdmin, "++++++"),
            (Action::SeeProfile, User, "y+++++"),
            (Action::SeeAllProfiles, Dashboard, "++++++"),
            (Action::SeeAllProfiles, ClusterAdmin, "++++++"),
            (Action::SeeAllProfiles, User, "yyyyyy"),
            (Action::AskClusterAdmin, Dashboard, "++++++"),
            (Action::AskClusterAdmin, ClusterAdmin, "++++++"),
            (Action::AskClusterAdmin, User, "yooyyy"),
        ];
        for role in Role::ALL {
            lines.push((Action::Share(role), Dashboard, "uuuuuu"));
            lines.push((Action::Share(role), ClusterAdmin, "++++++"));
            lines.push((Action::Share(role), User, "y+p+yy"));
        }
        for (action, party, expected) in lines {
            let decided: String = STANDINGS
                .into_iter()
                .map(|standing| match authorise(party, action, standing) {
                    Ok(Scope::All) => '+',
                    Ok(Scope::Own) => 'o',
                    Err(Denial::UserNeeded) => 'u',
                    Err(Denial::NotYours) => 'y',
                    Err(Denial::NotInPlace) => 'p',
                    Err(Denial::AdminsOnly) => 'a',
                })
                .collect();
            assert_eq!(decided, expected, "{action:?} by {party:?}");
        }
    }
}
