//! What the roles in `manifests` grant, against what the tests have asked for: nothing more, and nothing less.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
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

/// What a program may do; of a permission for some objects only, their names.
type Granted = BTreeMap<Permission, Option<Vec<String>>>;

/// Looks at the audit logs in a folder.
///
/// # Errors
/// When a permission was not used or a rule was missing, with which.
pub(crate) fn check(root: &Path, audit_logs: &Path) -> anyhow::Result<()> {
    let mut asked: HashMap<String, Asked> = HashMap::new();
    dev_cluster::read_kept(audit_logs, |event| {
        if PROGRAMS.iter().any(|(_, user, _)| *user == event.user) {
            asked.entry(event.user.clone()).or_default().add(event);
        }
    })?;
    for (program, user, roles) in PROGRAMS {
        let mut granted = Granted::new();
        for role in roles {
            granted.extend(permissions(&root.join(role))?);
        }
        let asked = asked.remove(user).unwrap_or_default();
        let missing = asked.missing(&granted);
        ensure!(missing.is_empty(), "{program} asked for what its roles do not grant: {}", joined(&missing));
        let unused = asked.unused(&granted);
        ensure!(unused.is_empty(), "permissions of {program} that no test needs: {}", joined(&unused));
        println!(
            "Least privilege: {} requests of {program} needed each of its {} permissions and no other",
            asked.requests,
            granted.len()
        );
    }
    Ok(())
}

/// What a program has asked for.
#[derive(Default)]
struct Asked {
    requests: usize,
    permissions: BTreeSet<Permission>,
    /// With the name of the object.
    refused: BTreeSet<(Permission, String)>,
}

impl Asked {
    fn add(&mut self, event: AuditEvent) {
        self.requests += 1;
        let permission = permission_of(&event);
        if event.unauthorised {
            self.refused.insert((permission, event.name));
        } else {
            self.permissions.insert(permission);
        }
    }

    /// What was refused for want of a rule. What a rule grants is refused too while a role is not bound: tests install and
    /// remove the roles under programs that run.
    fn missing(&self, granted: &Granted) -> BTreeSet<String> {
        let missing = self.refused.iter().filter(|(permission, name)| match granted.get(permission) {
            Some(Some(names)) => !names.contains(name),
            Some(None) => false,
            None => true,
        });
        missing.map(|(permission, name)| format!("{permission} {name:?}")).collect()
    }

    fn unused<'a>(&self, granted: &'a Granted) -> BTreeSet<&'a Permission> {
        granted.keys().filter(|permission| !self.permissions.contains(permission)).collect()
    }
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

fn permissions(role: &Path) -> anyhow::Result<Granted> {
    let text = fs::read_to_string(role).with_context(|| role.display().to_string())?;
    let role: Role = serde_saphyr::from_str(&text).with_context(|| role.display().to_string())?;
    let mut permissions = Granted::new();
    for rule in role.rules {
        let groups = rule.api_groups.unwrap_or_else(|| vec![String::new()]);
        let resources = [rule.resources, rule.non_resource_urls].into_iter().flatten().flatten();
        for resource in resources {
            for (group, verb) in
                groups.iter().flat_map(|group| rule.verbs.iter().map(move |verb| (group, verb)))
            {
                if !LOOKED_UP.contains(&(verb, &resource)) {
                    let (verb, group) = (verb.clone(), group.clone());
                    let permission = Permission { verb, group, resource: resource.clone() };
                    permissions.insert(permission, rule.resource_names.clone());
                }
            }
        }
    }
    Ok(permissions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(verb: &str, resource: &str, name: &str, unauthorised: bool) -> AuditEvent {
        AuditEvent {
            user: String::new(),
            verb: verb.to_owned(),
            group: String::new(),
            resource: resource.to_owned(),
            subresource: String::new(),
            namespace: String::new(),
            name: name.to_owned(),
            code: 0,
            unauthorised,
            user_agent: String::new(),
            uri: String::new(),
            timestamp: Default::default(),
            duration: Default::default(),
        }
    }

    fn granted(directory: &Path) -> Granted {
        let role = directory.join("role.yaml");
        let rules = "rules:\n\
            - {apiGroups: [''], resources: [pods], verbs: [get, list]}\n\
            - {apiGroups: [''], resources: [configmaps], resourceNames: [one], verbs: [get]}\n\
            - {apiGroups: [''], resources: [clusterroles], verbs: [bind]}\n";
        fs::write(&role, rules).unwrap();
        permissions(&role).unwrap()
    }

    #[test]
    fn what_is_missing_and_what_is_too_much_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let granted = granted(directory.path());
        let mut all = Asked::default();
        for event in [
            asked("get", "pods", "a", false),
            asked("list", "pods", "", false),
            asked("get", "configmaps", "one", false),
            // While its role was not bound.
            asked("list", "pods", "", true),
            asked("get", "configmaps", "one", true),
        ] {
            all.add(event);
        }
        assert!(all.missing(&granted).is_empty() && all.unused(&granted).is_empty());

        all.add(asked("get", "configmaps", "two", true));
        all.add(asked("delete", "pods", "a", true));
        assert_eq!(joined(&all.missing(&granted)), r#"delete pods "a", get configmaps "two""#);

        let mut refused = Asked::default();
        refused.add(asked("list", "pods", "", true));
        assert_eq!(
            joined(&refused.unused(&granted)),
            "get configmaps, get pods, list pods",
            "refused is not used"
        );
    }
}
