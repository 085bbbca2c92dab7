//! What the roles in `manifests` grant, against what the tests have asked for: nothing more, and nothing less.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::Path,
};

use anyhow::{Context, ensure};
use dev_cluster::AuditEvent;
use k8s_openapi::api::rbac::v1::PolicyRule;
use serde::Deserialize;

/// The roles of each program, and the ServiceAccount under which the tests run it.
const PROGRAMS: [(&str, &str, &[&str]); 2] = [
    (
        "profile-controller",
        "system:serviceaccount:profiles-system:profiles-controller-service-account",
        &["manifests/base/rbac/controller-role.yaml", "manifests/base/rbac/leader-election-role.yaml"],
    ),
    ("kfam", "system:serviceaccount:profiles-system:kfam-alone", &["manifests/components/kfam/role.yaml"]),
];

/// What nobody asks for: the API server looks it up when something else is asked for. Tests take it away and see what fails.
const LOOKED_UP: [(&str, &str); 2] = [("bind", "clusterroles"), ("update", "profiles/finalizers")];

/// One verb on one resource, or on one path that is no resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Permission {
    verb: String,
    group: String,
    /// With its subresource.
    resource: String,
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.resource)?;
        if self.group.is_empty() { Ok(()) } else { write!(f, ".{}", self.group) }
    }
}

#[derive(Deserialize)]
struct Role {
    rules: Vec<PolicyRule>,
}

/// Looks at the audit logs in a folder.
///
/// # Errors
/// When a permission was not used or a request was refused, with which.
pub(crate) fn check(root: &Path, audit_logs: &Path) -> anyhow::Result<()> {
    let mut asked: BTreeMap<String, BTreeSet<Permission>> = BTreeMap::new();
    let mut requests = 0_usize;
    let mut refused = BTreeSet::new();
    dev_cluster::read_kept(audit_logs, |event| {
        if !PROGRAMS.iter().any(|(_, user, _)| *user == event.user) {
            return;
        }
        requests += 1;
        let permission = permission_of(&event);
        if event.unauthorised {
            refused.insert(format!("{} may not {permission}", event.user));
        }
        asked.entry(event.user).or_default().insert(permission);
    })?;
    ensure!(refused.is_empty(), "requests were refused: {}", joined(&refused));
    for (program, user, roles) in PROGRAMS {
        let mut granted = BTreeSet::new();
        for role in roles {
            granted.extend(permissions(&root.join(role))?);
        }
        let asked = asked.remove(user).unwrap_or_default();
        let unused: BTreeSet<&Permission> = granted.difference(&asked).collect();
        ensure!(unused.is_empty(), "permissions of {program} that no test needs: {}", joined(&unused));
        println!("Least privilege: each of the {} permissions of {program} is used", granted.len());
    }
    println!("Least privilege: none of {requests} requests was refused");
    Ok(())
}

fn joined(values: &BTreeSet<impl fmt::Display>) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn permission_of(event: &AuditEvent) -> Permission {
    let resource = match (event.resource.as_str(), event.subresource.as_str()) {
        ("", _) => event.uri.clone(),
        (resource, "") => resource.to_owned(),
        (resource, subresource) => format!("{resource}/{subresource}"),
    };
    Permission { verb: event.verb.clone(), group: event.group.clone(), resource }
}

fn permissions(role: &Path) -> anyhow::Result<BTreeSet<Permission>> {
    let text = fs::read_to_string(role).with_context(|| role.display().to_string())?;
    let role: Role = serde_saphyr::from_str(&text).with_context(|| role.display().to_string())?;
    let mut permissions = BTreeSet::new();
    for rule in role.rules {
        let groups = rule.api_groups.unwrap_or_else(|| vec![String::new()]);
        let resources = [rule.resources, rule.non_resource_urls].into_iter().flatten().flatten();
        for resource in resources {
            for (group, verb) in
                groups.iter().flat_map(|group| rule.verbs.iter().map(move |verb| (group, verb)))
            {
                if !LOOKED_UP.contains(&(verb, &resource)) {
                    let (verb, group) = (verb.clone(), group.clone());
                    permissions.insert(Permission { verb, group, resource: resource.clone() });
                }
            }
        }
    }
    Ok(permissions)
}
