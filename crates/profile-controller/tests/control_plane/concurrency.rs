//! How many Profiles are worked on at a time.

use std::collections::HashSet;

use crate::harness::{World, run, unique};

#[test]
fn profiles_are_worked_on_side_by_side() {
    run(async {
        let most = most_at_a_time(&[]).await;
        assert!(most > 4, "{most} at a time");
    });
}

#[test]
fn a_flag_bounds_how_many_are_worked_on_at_a_time() {
    run(async {
        assert_eq!(most_at_a_time(&["--max-concurrent-reconciles=1"]).await, 1);
        let most = most_at_a_time(&["--max-concurrent-reconciles=3"]).await;
        assert!((2..=3).contains(&most), "{most} at a time");
    });
}

/// How many of 30 Profiles were begun (their namespace created) and not ended (their status written) at one moment, at the
/// most.
async fn most_at_a_time(flags: &[&str]) -> usize {
    let world = World::start().await;
    let names: Vec<String> = (0..30).map(|_| unique("parallel")).collect();
    for name in &names {
        world.create_profile(name, "a@example.com").await;
    }
    let mark = world.cluster.audit().settled().await.unwrap();
    let controller = world.controller(flags);
    for name in &names {
        world.ready(name).await;
    }
    let writes = world.writes_since(mark).await;
    drop(controller);
    let mut in_progress = HashSet::new();
    let mut most = 0;
    for write in &writes {
        if let Some(name) = write.strip_prefix("create namespaces /") {
            in_progress.insert(name);
            most = most.max(in_progress.len());
        } else if let Some(name) = write.strip_prefix("patch profiles /") {
            in_progress.remove(name);
        }
    }
    most
}
