//! The programs in a root that holds only what the image would: themselves, the libraries that its base has, certificates.
//!
//! The root is read-only and the user nobody in particular, as in a pod of the manifests.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::mpsc,
    time::Duration,
};

use dev_cluster::Cluster;
use kube::{Api, api::PostParams};
use profile_api::{Profile, ProfileSpec, Subject};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ServerConfig, ServerConnection, pki_types::PrivateKeyDer};
use serde_json::json;
use test_support::{run, until};

use crate::world::{
    ACCESS_MANAGEMENT, METRICS, PROGRAMS, Running, controller, installed, kfam, service_account,
};

/// What the base image (distroless/cc) has of the libraries that a Rust program may need, beside the loader.
const LIBRARIES: [&str; 3] = ["libc.so.6", "libgcc_s.so.1", "libm.so.6"];
const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";
const USER: &str = "65532";

/// A root file system, read-only for what runs in it.
struct Root(tempfile::TempDir);

impl Root {
    fn new() -> Self {
        let root = Self(tempfile::tempdir().expect("a folder"));
        let set_mode = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        set_mode(root.0.path());
        for (package, place) in [("profile-controller", "manager"), ("kfam", "access-management")] {
            let program = PROGRAMS.join(package);
            for library in linked(&program) {
                root.put(library.to_str().unwrap().trim_start_matches('/'), &fs::read(&library).unwrap());
            }
            root.put(place, &fs::read(program).unwrap());
        }
        root.put("etc/passwd", b"nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n");
        root.put(CERTIFICATES, &fs::read(Path::new("/").join(CERTIFICATES)).unwrap_or_default());
        root
    }

    fn put(&self, path: &str, content: &[u8]) {
        let file = self.0.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A command as it is seen from within.
    fn command(&self, inner: &Command) -> Command {
        let is_root =
            fs::metadata("/proc/self").is_ok_and(|it| std::os::unix::fs::MetadataExt::uid(&it) == 0);
        let script = "mount --bind \"$0\" \"$0\" && mount -o remount,bind,ro \"$0\" && \
                      exec chroot --userspec=65532:65532 \"$0\" \"$@\"";
        let mut command = Command::new(if is_root { "env" } else { "sudo" });
        let environment = inner.get_envs().filter_map(|(name, value)| Some((name, value?)));
        // Nothing of our own environment, as in a container.
        command.args(if is_root { &["-i"][..] } else { &["-n", "env", "-i"][..] });
        command.arg("PATH=/usr/sbin:/usr/bin:/sbin:/bin");
        for (name, value) in environment {
            command.arg(format!("{}={}", name.to_str().unwrap(), value.to_str().unwrap()));
        }
        command.args(["unshare", "--mount", "sh", "-c", script]).arg(self.0.path());
        command.arg(inner.get_program()).args(inner.get_args());
        command
    }

    fn output(&self, program: &str, argument: &str) -> Output {
        let mut inner = Command::new(program);
        inner.arg(argument);
        self.command(&inner).output().expect("env, unshare, mount and chroot")
    }

    /// Puts a kubeconfig where the programs find it.
    fn kubeconfig(&self, file: &Path) -> PathBuf {
        self.put("kubeconfig", &fs::read(file).unwrap());
        PathBuf::from("/kubeconfig")
    }
}

/// The files that a program is linked with.
fn linked(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().expect("ldd");
    let text = String::from_utf8(output.stdout).unwrap();
    let files = text.lines().filter_map(|line| {
        let file = line.split("=> ").last()?.split_whitespace().next()?;
        file.starts_with('/').then(|| PathBuf::from(file))
    });
    files.collect()
}

#[test]
fn the_programs_need_no_library_that_the_base_image_does_not_have() {
    for program in ["profile-controller", "kfam"] {
        let program = PROGRAMS.join(program);
        let output = Command::new("readelf").arg("--dynamic").arg(&program).output().expect("readelf");
        let text = String::from_utf8(output.stdout).unwrap();
        let needed = text.lines().filter(|line| line.contains("(NEEDED)"));
        let needed: Vec<&str> = needed.filter_map(|line| line.split(['[', ']']).nth(1)).collect();
        assert!(needed.contains(&"libc.so.6"), "{needed:?}");
        for library in needed.iter().filter(|it| !it.starts_with("ld-linux")) {
            assert!(LIBRARIES.contains(library), "{} needs {library}", program.display());
        }
    }
}

#[test]
fn both_programs_start_with_nothing_but_what_the_image_has() {
    let root = Root::new();
    for program in ["/manager", "/access-management"] {
        for argument in ["--help", "--version"] {
            let output = root.output(program, argument);
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success() && !output.stdout.is_empty(), "{program} {argument}: {errors}");
        }
    }
}

#[test]
fn both_programs_work_on_a_read_only_root_as_a_user_without_rights() {
    run(async {
        let cluster = installed().await;
        let root = Root::new();
        let kubeconfig = root.kubeconfig(&service_account(&cluster).await);
        let manager = Running::start(&cluster, &root.command(&controller("/manager", &kubeconfig)));
        let kfam = Running::start(&cluster, &root.command(&kfam("/access-management", &kubeconfig)));
        create(&cluster, &["jane"], json!([])).await;
        until("Profile jane is ready", async || {
            let profile = profiles(&cluster).get("jane").await.ok()?;
            profile.status.filter(|status| status.is_ready())
        })
        .await;
        assert_eq!(manager.get(METRICS, "/metrics", "").await.0, 200);
        until("access management is ready", async || {
            (kfam.get(ACCESS_MANAGEMENT, "/readyz", "").await.0 == 200).then_some(())
        })
        .await;
        for program in [&manager, &kfam] {
            let process = process_of(program);
            let status = fs::read_to_string(process.join("status")).unwrap();
            let value = |name: &str| {
                status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
            };
            assert_eq!(value("Uid:"), [USER; 4].join("\t"));
            assert_eq!(value("CapEff:"), "0000000000000000");
            let mounts = fs::read_to_string(process.join("mountinfo")).unwrap();
            let own = mounts.lines().find(|line| line.split(' ').nth(4) == Some("/"));
            assert!(
                own.is_some_and(|line| line.split(' ').nth(5).is_some_and(|it| it.starts_with("ro"))),
                "{mounts}"
            );
        }
        manager.stop().await;
        kfam.stop().await;
    });
}

/// The certificates of the image are what a cloud is known by: with the one that has signed for it, the connection is made,
/// without, it is not, and the status of the Profile says so.
#[test]
fn a_cloud_is_known_by_the_certificates_of_the_image() {
    run(async {
        let cluster = installed().await;
        let (certificate, config) = authority();
        let without = Root::new();
        let with = Root::new();
        with.put(CERTIFICATES, certificate.as_bytes());
        for (root, is_trusted, name) in [(without, false, "untrusting"), (with, true, "trusting")] {
            let (address, handshakes) = serve(config.clone());
            let kubeconfig = root.kubeconfig(&service_account(&cluster).await);
            let mut command = controller("/manager", &kubeconfig);
            command.arg("--eks-oidc-issuer=https://oidc.eks.eu-west-1.amazonaws.com/id/ABC").envs([
                ("AWS_ENDPOINT_URL_IAM", format!("https://{address}").as_str()),
                ("AWS_ACCESS_KEY_ID", "mock"),
                ("AWS_SECRET_ACCESS_KEY", "mock"),
                ("AWS_EC2_METADATA_DISABLED", "true"),
            ]);
            let manager = Running::start(&cluster, &root.command(&command));
            let role = json!({ "awsIamRole": "arn:aws:iam::123456789012:role/reader" });
            create(&cluster, &[name], json!([{ "kind": "AwsIamForServiceAccount", "spec": role }])).await;
            let shaken =
                tokio::task::spawn_blocking(move || handshakes.recv_timeout(Duration::from_secs(60)));
            let shaken =
                shaken.await.unwrap().unwrap_or_else(|_| panic!("no connection: {}", manager.printed()));
            assert_eq!(shaken, is_trusted, "{name}");
            until("the status says that the cloud does not answer", async || {
                let status = profiles(&cluster).get(name).await.ok()?.status?;
                status.condition("PluginsReady").filter(|it| it.reason == "Unavailable").cloned()
            })
            .await;
            manager.stop().await;
        }
    });
}

fn profiles(cluster: &Cluster) -> Api<Profile> {
    Api::all(cluster.admin())
}

async fn create(cluster: &Cluster, names: &[&str], plugins: serde_json::Value) {
    for name in names {
        let mut spec = ProfileSpec::owned_by(Subject::user("jane@example.com"));
        spec.plugins = serde_json::from_value(plugins.clone()).unwrap();
        profiles(cluster).create(&PostParams::default(), &Profile::new(name, spec)).await.expect("a Profile");
    }
}

/// Its folder in /proc, below sudo where that is needed.
fn process_of(program: &Running) -> PathBuf {
    let mut pid = program.process.pid().unwrap();
    while let Ok(children) = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")) {
        match children.split_whitespace().next() {
            Some(child) => pid = child.parse().unwrap(),
            None => break,
        }
    }
    PathBuf::from(format!("/proc/{pid}"))
}

/// An authority, and a server that it has signed for: 127.0.0.1.
fn authority() -> (String, std::sync::Arc<ServerConfig>) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let server_key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()])
        .unwrap()
        .signed_by(&server_key, &issuer)
        .unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let private = PrivateKeyDer::try_from(server_key.serialize_der()).unwrap();
    let config = config.with_no_client_auth().with_single_cert(vec![server.der().clone()], private).unwrap();
    (authority.pem(), std::sync::Arc::new(config))
}

/// Takes the first connection, tells whether the client trusts it, and hangs up.
fn serve(config: std::sync::Arc<ServerConfig>) -> (String, mpsc::Receiver<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let Ok(mut connection) = connection else { return };
            let mut tls = ServerConnection::new(config.clone()).unwrap();
            let handshake = tls.complete_io(&mut connection);
            // With TLS 1.3 the client's refusal comes after the handshake: its first request, or an alert.
            let is_trusted = handshake.is_ok() && tls.complete_io(&mut connection).is_ok();
            if sender.send(is_trusted).is_err() {
                return;
            }
        }
    });
    (address, receiver)
}
