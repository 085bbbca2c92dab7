//! The clock on the wall jumps, for one replica and not for the others.

use std::{fs, path::PathBuf};

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;

use crate::harness::{Controller, World, run, unique, until};

const FLAGS: [&str; 2] = ["--leader-elect", "--leader-election-namespace=profiles-system"];

/// The clock of a controller, which a test sets. Time that has passed is told as ever, as by a real clock that is set.
struct Clock {
    file: PathBuf,
}

impl Clock {
    fn new(world: &World) -> Self {
        let clock = Self { file: world.cluster.folder().join(unique("clock")) };
        clock.set("+0");
        clock
    }

    /// Sets it off by so much, such as `-1h`.
    fn set(&self, offset: &str) {
        // In one step, so that it is never read half written.
        let next = self.file.with_extension("next");
        fs::write(&next, offset).unwrap();
        fs::rename(&next, &self.file).unwrap();
    }

    fn controller(&self, world: &World) -> Controller {
        let environment = [
            ("LD_PRELOAD", library().display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        world.controller_in(environment, &FLAGS)
    }
}

/// The library of Debian's package faketime, in the folder of this machine's architecture.
fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().filter_map(Result::ok);
    let libraries = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    libraries
        .into_iter()
        .find(|library| library.exists())
        .expect("the package faketime: `cargo xtask test` installs it")
}

fn leases(world: &World) -> Api<Lease> {
    world.namespaced("profiles-system")
}

/// Waits until the Lease has been renewed twice more; who holds it, and when that was by the holder's clock.
async fn renewed_twice(world: &World) -> (String, i64) {
    let mut renewals = Vec::new();
    until("the Lease is renewed", async || {
        let spec = leases(world).get("kubeflow-profile-controller").await.ok()?.spec?;
        let renewal = (spec.holder_identity?, spec.renew_time?.0.as_second());
        if !renewals.contains(&renewal) {
            renewals.push(renewal.clone());
        }
        (renewals.len() > 2).then_some(renewal)
    })
    .await
}

/// A leader whose clock jumps stays the only one, keeps working, and is followed soon when it dies.
fn a_leader_survives_its_clock_being_off_by(offset: &'static str, seconds: i64) {
    run(async {
        let world = World::start().await;
        let clock = Clock::new(&world);
        let leading = clock.controller(&world);
        leading.logged("leading").await;
        let standby = world.controller(&FLAGS);
        let (leader, before) = renewed_twice(&world).await;

        clock.set(offset);
        let (holder, after) = until("the clock has jumped", async || {
            let (holder, at) = renewed_twice(&world).await;
            ((at - before - seconds).abs() < 3600).then_some((holder, at))
        })
        .await;
        assert_eq!(holder, leader, "renewed at {after}");
        let name = unique("clock");
        let profile = world.ready_profile(&name, "a@example.com").await;
        world.assert_in_place(&profile).await;
        assert!(standby.log().iter().all(|line| line["message"] != "leading"), "there is one leader");

        leading.kill();
        standby.logged("leading").await;
        world.ready_profile(&unique("clock"), "a@example.com").await;
    });
}

#[test]
fn a_leader_survives_a_jump_forward_of_its_clock() {
    a_leader_survives_its_clock_being_off_by("+30d", 30 * 24 * 60 * 60);
}

#[test]
fn a_leader_survives_a_jump_back_of_its_clock() {
    a_leader_survives_its_clock_being_off_by("-1d", -24 * 60 * 60);
}
