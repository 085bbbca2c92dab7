//! Who sees which bindings.

use serde_json::json;

use crate::harness::{ADMIN, Who, binding, run, shared, unique};

#[test]
fn users_see_what_concerns_them_and_nothing_else() {
    run(async {
        let (world, kfam) = shared().await;
        let [jane, joe, ann] = ["jane", "joe", "ann"].map(|name| unique(&format!("{name}@example.com")));
        let (janes, joes) = (world.team(kfam, &jane).await, world.team(kfam, &joe).await);
        kfam.share(Who::User(&jane), binding(&janes, &joe, "view")).await.done();
        kfam.share(Who::User(&jane), binding(&janes, &ann, "edit")).await.done();
        kfam.share(Who::User(&joe), binding(&joes, &ann, "admin")).await.done();
        let line = |namespace: &str, user: &str, role: &str| format!("{namespace} User {user} {role}");
        let all_of = |namespace: &str, lines: &[(&str, &str)]| {
            let mut lines: Vec<_> = lines.iter().map(|(user, role)| line(namespace, user, role)).collect();
            lines.sort_unstable();
            lines
        };
        let of_janes = all_of(&janes, &[(&jane, "admin"), (&joe, "view"), (&ann, "edit")]);
        let of_joes = all_of(&joes, &[(&joe, "admin"), (&ann, "admin")]);

        assert_eq!(kfam.bindings(Who::User(&jane), "").await, of_janes, "all of the own namespace");
        let mut seen = of_joes.clone();
        seen.push(line(&janes, &joe, "view"));
        seen.sort_unstable();
        assert_eq!(kfam.bindings(Who::User(&joe), "").await, seen, "of another only the own access");
        let mut seen = of_joes.clone();
        seen.push(line(&janes, &ann, "edit"));
        seen.sort_unstable();
        assert_eq!(kfam.bindings(Who::User(&ann), "").await, seen, "with the role admin as an owner");
        assert_eq!(kfam.bindings(Who::User("stranger@example.com"), "").await, [""; 0]);

        let query = |text: String| text;
        assert_eq!(
            kfam.bindings(Who::User(&joe), &query(format!("?namespace={janes}"))).await,
            [line(&janes, &joe, "view")]
        );
        assert_eq!(
            kfam.bindings(Who::User(&joe), &query(format!("?user={ann}"))).await,
            [line(&joes, &ann, "admin")]
        );
        assert_eq!(
            kfam.bindings(Who::User("stranger@example.com"), &query(format!("?user={ann}"))).await,
            [""; 0]
        );
        for who in [Who::Dashboard, Who::User(ADMIN)] {
            assert_eq!(kfam.bindings(who, &query(format!("?namespace={janes}"))).await, of_janes);
            let anns = kfam.bindings(who, &query(format!("?user={ann}"))).await;
            assert_eq!(anns.len(), 2);
            assert_eq!(
                kfam.bindings(who, &query(format!("?user={ann}&role=edit"))).await,
                [line(&janes, &ann, "edit")]
            );
            assert_eq!(
                kfam.bindings(who, &query(format!("?namespace={janes}&user={ann}&role=view"))).await,
                [""; 0]
            );
            assert_eq!(kfam.bindings(who, &query(format!("?namespace={janes}&role=owner"))).await, [""; 0]);
            // Other tests share other namespaces meanwhile.
            for query in ["", "?user=&namespace=&role="] {
                let everything = kfam.bindings(who, query).await;
                assert!(of_janes.iter().chain(&of_joes).all(|line| everything.contains(line)), "{query}");
            }
        }
    });
}

#[test]
fn the_cluster_admin_query_answers_true_or_false() {
    run(async {
        let (_, kfam) = shared().await;
        let ask = async |who, query: &str| kfam.get(who, &format!("/kfam/v1/role/clusteradmin{query}")).await;
        let admin = format!("?user={ADMIN}");
        for (who, query, expected) in [
            (Who::Dashboard, admin.as_str(), true),
            (Who::Dashboard, "?user=jane@example.com", false),
            (Who::User(ADMIN), "", true),
            (Who::User(ADMIN), "?user=jane@example.com", false),
            (Who::User("jane@example.com"), "", false),
            (Who::User("jane@example.com"), "?user=jane@example.com", false),
        ] {
            let answer = ask(who, query).await;
            answer.done();
            assert_eq!(answer.json(), json!(expected), "{who:?} {query}");
        }
        ask(Who::User("jane@example.com"), &admin).await.refused(403, "Forbidden");
        ask(Who::Dashboard, "").await.refused(400, "Malformed");
    });
}
