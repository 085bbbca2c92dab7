//! IAM policies of Google service accounts. What is changed is one member in the bindings of one role that have no condition;
//! everything else stays as it is. Pure.

use google_cloud_iam_v1::model::{Binding, Policy};

/// The role whose members may act as the service account from a cluster.
pub const ROLE: &str = "roles/iam.workloadIdentityUser";

/// Makes somebody a member, once: where they are several times, one is left.
pub fn grant(policy: &mut Policy, member: &str) {
    let mut is_there = false;
    for binding in policy.bindings.iter_mut().filter(|binding| is_ours(binding)) {
        binding.members.retain(|other| other != member || !std::mem::replace(&mut is_there, true));
    }
    policy.bindings.retain(|binding| !is_ours(binding) || !binding.members.is_empty());
    if is_there {
        return;
    }
    match policy.bindings.iter_mut().find(|binding| is_ours(binding)) {
        Some(binding) => binding.members.push(member.to_owned()),
        None => policy.bindings.push(Binding::new().set_role(ROLE).set_members([member])),
    }
}

/// Makes somebody no member any more.
pub fn revoke(policy: &mut Policy, member: &str) {
    let has_member = |binding: &Binding| is_ours(binding) && binding.members.iter().any(|it| it == member);
    for binding in policy.bindings.iter_mut().filter(|binding| has_member(binding)) {
        binding.members.retain(|other| other != member);
    }
    policy.bindings.retain(|binding| !is_ours(binding) || !binding.members.is_empty());
}

fn is_ours(binding: &Binding) -> bool {
    binding.role == ROLE && binding.condition.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const JANE: &str = "serviceAccount:pool.svc.id.goog[jane/default-editor]";
    const JOE: &str = "serviceAccount:pool.svc.id.goog[joe/default-editor]";

    fn binding(role: &str, members: &[&str]) -> Binding {
        Binding::new().set_role(role).set_members(members.iter().copied())
    }

    fn policy(bindings: Vec<Binding>) -> Policy {
        Policy::new().set_version(3).set_bindings(bindings)
    }

    #[test]
    fn a_member_is_added_once_and_what_was_there_stays() {
        let viewer = binding("roles/viewer", &[JANE]);
        let condition = google_cloud_type::model::Expr::new().set_expression("request.time < x");
        let conditional = binding(ROLE, &[JANE]).set_condition(condition);
        let others = vec![viewer, conditional];
        let mut granted = policy(others.clone());
        for _ in 0..2 {
            grant(&mut granted, JANE);
            let ours = [binding(ROLE, &[JANE])];
            assert_eq!(granted, policy(others.iter().cloned().chain(ours).collect()));
        }
        revoke(&mut granted, JANE);
        assert_eq!(granted, policy(others));
    }

    #[test]
    fn duplicates_that_the_go_controller_has_left_are_folded_into_one() {
        let mut left = policy(vec![
            binding(ROLE, &[JANE]),
            binding("roles/viewer", &[JOE]),
            binding(ROLE, &[JANE]),
            binding(ROLE, &[JOE, JANE, JANE]),
        ]);
        let mut revoked = left.clone();
        grant(&mut left, JANE);
        assert_eq!(
            left,
            policy(vec![binding(ROLE, &[JANE]), binding("roles/viewer", &[JOE]), binding(ROLE, &[JOE])])
        );
        revoke(&mut revoked, JANE);
        assert_eq!(revoked, policy(vec![binding("roles/viewer", &[JOE]), binding(ROLE, &[JOE])]));
    }
}
