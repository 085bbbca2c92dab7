//! The command line: what can be set, checked before anything starts.

use std::{ffi::OsString, net::SocketAddr, num::NonZeroU16, path::PathBuf, time::Duration};

use clap::{ArgAction, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use profile_render::{
    NamespaceLabels, PlatformConfig,
    config::{Principals, ReservedNames},
};

use crate::{go_flags, plugins::PluginArgs};

/// Turns Kubeflow Profiles into namespaces with access rules.
///
/// Without a command it runs the controller: against the cluster of the current kubeconfig (KUBECONFIG, ~/.kube/config), or
/// inside a pod against its own. Flags may be written with one dash or two.
#[derive(Debug, Parser)]
// As in Go, of a flag that is given twice the last one counts: patches of a Deployment add to its arguments.
#[command(
    name = "profile-controller",
    version,
    args_conflicts_with_subcommands = true,
    args_override_self = true
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// What else can be done than run.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print what a Profile would become, as YAML, without a cluster.
    Render(RenderArgs),
}

impl Cli {
    /// Reads arguments, the program's name first, with flags as Go programs read them.
    ///
    /// # Errors
    /// When they cannot be read; also when they ask for help.
    pub(crate) fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(go_flags::normalise(&Self::command(), args))?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }
}

/// Settings of the running controller.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) platform: PlatformArgs,

    #[command(flatten)]
    pub(crate) plugins: PluginArgs,

    /// Address that serves Prometheus metrics under /metrics; 0 turns it off.
    #[arg(long, default_value = ":8080", value_name = "ADDRESS", value_parser = parse_bind_address)]
    pub(crate) metrics_bind_address: BindAddress,

    /// Address that serves /healthz and /readyz; 0 turns it off.
    #[arg(long, default_value = ":9876", value_name = "ADDRESS", value_parser = parse_bind_address)]
    pub(crate) health_probe_bind_address: BindAddress,

    /// Let one replica work at a time: the one that holds the Lease kubeflow-profile-controller.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value = "false",
          default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new(), value_name = "BOOL")]
    pub(crate) leader_elect: bool,

    /// Namespace of the Lease [default: the pod's own, else that of the kubeconfig].
    #[arg(long, value_name = "NAMESPACE")]
    pub(crate) leader_election_namespace: Option<String>,

    /// How many Profiles are worked on at the same time.
    #[arg(long, default_value = "16", value_name = "COUNT")]
    pub(crate) max_concurrent_reconciles: NonZeroU16,

    /// How often a Profile is compared again when nothing has happened, from memory: a number with s, m or h.
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) resync_period: Duration,

    /// How log lines are written. The level is set with RUST_LOG, such as RUST_LOG=debug.
    #[arg(long, default_value = "human", value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
}

/// Settings that shape what every Profile becomes.
#[derive(Debug, Args)]
pub(crate) struct PlatformArgs {
    /// HTTP header that carries the authenticated user.
    #[arg(long, default_value = "x-goog-authenticated-user-email", value_name = "HEADER", value_parser = parse_header)]
    userid_header: String,

    /// What stands in front of the user's name in that header.
    #[arg(long, default_value = "accounts.google.com:", value_name = "PREFIX", value_parser = parse_prefix)]
    userid_prefix: String,

    /// Claim of the request's JWT that lists the user's groups. Without it, a group that owns a Profile gets in by kubectl
    /// but not through the browser.
    #[arg(long, default_value = "", value_name = "CLAIM", hide_default_value = true, value_parser = parse_claim)]
    groups_claim: String,

    /// Names that no Profile may have, comma-separated; a name may end in '*'.
    #[arg(long, default_value = ReservedNames::DEFAULT, value_name = "NAMES")]
    reserved_names: ReservedNames,

    /// YAML file with labels for every Profile's namespace: `key: "value"` adds, `key: ""` removes.
    #[arg(long, default_value = "/etc/profile-controller/namespace-labels.yaml", value_name = "FILE")]
    pub(crate) namespace_labels_path: PathBuf,

    /// Mesh identity of the ingress gateway.
    #[arg(
        long,
        env = "ISTIO_INGRESS_GATEWAY_PRINCIPAL",
        default_value = "",
        hide_default_value = true,
        value_name = "PRINCIPAL"
    )]
    istio_ingress_gateway_principal: String,

    /// Mesh identity of the Kubeflow Pipelines user interface.
    #[arg(
        long,
        env = "KFP_UI_PRINCIPAL",
        default_value = "",
        hide_default_value = true,
        value_name = "PRINCIPAL"
    )]
    kfp_ui_principal: String,

    /// Mesh identity of the notebook controller.
    #[arg(
        long,
        env = "NOTEBOOK_CONTROLLER_PRINCIPAL",
        default_value = "",
        hide_default_value = true,
        value_name = "PRINCIPAL"
    )]
    notebook_controller_principal: String,
}

/// What to render.
#[derive(Debug, Args)]
pub(crate) struct RenderArgs {
    /// File with one or more Profiles as YAML or JSON; - is standard input.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) filename: PathBuf,
    #[command(flatten)]
    pub(crate) platform: PlatformArgs,
    #[command(flatten)]
    pub(crate) plugins: PluginArgs,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

/// Where a server listens, if it does.
pub(crate) type BindAddress = Option<SocketAddr>;

impl PlatformArgs {
    /// The settings, with the given namespace labels. An empty principal stands for its default.
    pub(crate) fn config(&self, namespace_labels: NamespaceLabels) -> PlatformConfig {
        let or = |value: &str, default: String| if value.is_empty() { default } else { value.to_owned() };
        let default = Principals::default();
        PlatformConfig {
            userid_header: self.userid_header.clone(),
            userid_prefix: self.userid_prefix.clone(),
            groups_claim: Some(self.groups_claim.clone()).filter(|claim| !claim.is_empty()),
            principals: Principals {
                ingress_gateway: or(&self.istio_ingress_gateway_principal, default.ingress_gateway),
                kfp_ui: or(&self.kfp_ui_principal, default.kfp_ui),
                notebook_controller: or(&self.notebook_controller_principal, default.notebook_controller),
            },
            reserved_names: self.reserved_names.clone(),
            namespace_labels,
        }
    }
}

/// `HOST:PORT`, or `:PORT` for every address of the machine; `0` for none.
fn parse_bind_address(text: &str) -> Result<BindAddress, String> {
    if text == "0" || text.is_empty() {
        return Ok(None);
    }
    let with_host = if text.starts_with(':') {
        format!("[::]{text}")
    } else {
        text.replacen("localhost:", "127.0.0.1:", 1)
    };
    let address =
        with_host.parse().map_err(|_| "write IP:PORT, :PORT for every address, or 0 for none".to_owned())?;
    Ok(Some(address))
}

fn parse_header(text: &str) -> Result<String, String> {
    match http::HeaderName::try_from(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("write the name of an HTTP header, such as kubeflow-userid".to_owned()),
    }
}

fn parse_prefix(text: &str) -> Result<String, String> {
    if text.contains('*') {
        return Err("must not contain '*', which Istio would match as a wildcard".to_owned());
    }
    Ok(text.to_owned())
}

fn parse_claim(text: &str) -> Result<String, String> {
    if text.contains(['[', ']']) || text.trim() != text {
        return Err("write the name of the claim alone, such as groups".to_owned());
    }
    Ok(text.to_owned())
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let problem = || "write a positive whole number with s, m or h, such as 10m".to_owned();
    let (number, seconds) = match text.char_indices().next_back() {
        Some((end, 's')) => (&text[..end], 1),
        Some((end, 'm')) => (&text[..end], 60),
        Some((end, 'h')) => (&text[..end], 3600),
        _ => return Err(problem()),
    };
    let number = number.parse::<u32>().ok().filter(|number| *number > 0).ok_or_else(problem)?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<RunArgs, String> {
        let args = std::iter::once("manager").chain(args.iter().copied()).map(OsString::from);
        Cli::read(args).map(|cli| cli.run).map_err(|error| error.to_string())
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_arguments_of_the_reference_deployment_are_accepted() {
        let args = parse(&[
            "-userid-header",
            "kubeflow-userid",
            "-userid-prefix",
            "",
            "-workload-identity",
            "",
            "--leader-elect",
            "--health-probe-bind-address=:9876",
            "--metrics-bind-address=0",
        ])
        .unwrap();
        let config = args.platform.config(NamespaceLabels::default());
        assert_eq!(config.userid_header, "kubeflow-userid");
        assert_eq!(config.userid_prefix, "");
        assert!(args.leader_elect);
        assert_eq!(args.health_probe_bind_address, Some("[::]:9876".parse().unwrap()));
        assert_eq!(args.metrics_bind_address, None);
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let args = parse(&[]).unwrap();
        assert_eq!(args.platform.config(NamespaceLabels::default()), PlatformConfig::default());
        assert_eq!(
            args.platform.namespace_labels_path,
            PathBuf::from("/etc/profile-controller/namespace-labels.yaml")
        );
        assert_eq!(args.metrics_bind_address, Some("[::]:8080".parse().unwrap()));
        assert_eq!(args.health_probe_bind_address, Some("[::]:9876".parse().unwrap()));
        assert!(!args.leader_elect);
        assert_eq!(args.plugins.workload_identity, "");
    }

    #[test]
    fn booleans_may_be_given_as_go_gives_them() {
        for (args, expected) in
            [(["-leader-elect=true"], true), (["--leader-elect=false"], false), (["-leader-elect"], true)]
        {
            assert_eq!(parse(&args).unwrap().leader_elect, expected, "{args:?}");
        }
    }

    #[test]
    fn a_wrong_value_is_refused_with_the_flag_and_what_would_be_right() {
        for (args, flag, help) in [
            (["--metrics-bind-address=8080x"], "--metrics-bind-address", ":PORT"),
            (["--userid-header=a b"], "--userid-header", "HTTP header"),
            (["--userid-prefix=*"], "--userid-prefix", "wildcard"),
            (["--groups-claim=a[b]"], "--groups-claim", "such as groups"),
            (["--reserved-names=a*b"], "--reserved-names", "a*b"),
            (["--resync-period=10"], "--resync-period", "such as 10m"),
            (["--max-concurrent-reconciles=0"], "--max-concurrent-reconciles", "0"),
        ] {
            let error = parse(&args).expect_err(args[0]);
            assert!(error.contains(flag) && error.contains(help), "{error}");
        }
    }
}
