//! The command line.

use std::{collections::BTreeSet, ffi::OsString, num::NonZeroUsize};

use clap::{ArgAction, CommandFactory, FromArgMatches, Parser};
use profile_runtime::{
    access_args::AccessArgs,
    bind_address::{self, BindAddress},
    go_flags,
    logging::LogFormat,
};

use crate::{identity::IdentityConfig, service::ServiceConfig};

/// The dashboard, under the names of its ServiceAccount in newer and older releases of Kubeflow.
const DASHBOARDS: &str =
    "cluster.local/ns/kubeflow/sa/dashboard,cluster.local/ns/kubeflow/sa/centraldashboard";

/// Kubeflow access management: users register and share their namespace without an admin.
///
/// It serves a REST API, for the cluster of the current kubeconfig (KUBECONFIG, ~/.kube/config), or inside a pod for its own.
/// Flags may be written with one dash or two.
#[derive(Debug, Parser)]
// As in Go, of a flag that is given twice the last one counts: patches of a Deployment add to its arguments.
#[command(name = "kfam", version, args_override_self = true)]
pub(crate) struct Args {
    #[command(flatten)]
    access: AccessArgs,

    /// Users who may do everything, comma-separated.
    #[arg(long, default_value = "", value_name = "USERS", hide_default_value = true)]
    cluster_admin: String,

    /// How many Profiles a user may own that they or the dashboard create; 0 is no limit.
    #[arg(long, default_value = "0", value_name = "COUNT")]
    max_profiles_per_user: usize,

    /// Mesh identities of the workloads that are answered, comma-separated [default: the dashboards and the ingress gateway].
    #[arg(long, default_value = "", value_name = "PRINCIPALS", hide_default_value = true)]
    trusted_principals: String,

    /// Those that are answered without a user, comma-separated: they may read everything and register users.
    #[arg(long, default_value = DASHBOARDS, value_name = "PRINCIPALS")]
    dashboard_principals: String,

    /// Answer every caller and take its word for who the user is: for clusters without a mesh, where something else has to keep
    /// strangers away.
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_value = "false",
          default_missing_value = "true", value_parser = clap::builder::BoolishValueParser::new(), value_name = "BOOL")]
    pub(crate) trust_all_callers: bool,

    /// Address that serves everything: the API, /metrics, /healthz and /readyz.
    #[arg(long, default_value = ":8081", value_name = "ADDRESS", value_parser = bind_address::parse)]
    pub(crate) bind_address: BindAddress,

    /// How log lines are written. The level is set with RUST_LOG, such as RUST_LOG=debug.
    #[arg(long, default_value = "human", value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
}

impl Args {
    /// Reads arguments, the program's name first, with flags as Go programs read them.
    ///
    /// # Errors
    /// When they cannot be read; also when they ask for help.
    pub(crate) fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, clap::Error> {
        let mut command = Self::command();
        let matches = command.try_get_matches_from_mut(go_flags::normalise(&Self::command(), args))?;
        Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
    }

    /// Whose word counts.
    pub(crate) fn identity(&self) -> IdentityConfig {
        let platform = self.access.config();
        let dashboards = list(&self.dashboard_principals);
        let mut trusted = list(&self.trusted_principals);
        if trusted.is_empty() {
            trusted.clone_from(&dashboards);
            trusted.push(platform.principals.ingress_gateway);
        }
        IdentityConfig {
            userid_header: platform.userid_header.to_ascii_lowercase(),
            userid_prefix: platform.userid_prefix,
            trusted,
            dashboards,
            trust_all: self.trust_all_callers,
        }
    }

    /// What the platform decides for the service.
    pub(crate) fn service(&self) -> ServiceConfig {
        ServiceConfig {
            platform: self.access.config(),
            cluster_admins: BTreeSet::from_iter(list(&self.cluster_admin)),
            max_profiles_per_user: NonZeroUsize::new(self.max_profiles_per_user).map(NonZeroUsize::get),
        }
    }
}

fn list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Args {
        let args = std::iter::once("access-management").chain(args.iter().copied()).map(OsString::from);
        Args::read(args).unwrap()
    }

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_arguments_of_the_reference_deployment_are_accepted() {
        let args = parse(&["-cluster-admin", "", "-userid-header", "Kubeflow-Userid", "-userid-prefix", ""]);
        let identity = args.identity();
        assert_eq!(
            (identity.userid_header.as_str(), identity.userid_prefix.as_str()),
            ("kubeflow-userid", "")
        );
        assert!(args.service().cluster_admins.is_empty());
        assert_eq!(args.bind_address, Some("[::]:8081".parse().unwrap()));
        let args = parse(&["-cluster-admin", "ann@example.com, joe@example.com,"]);
        let admins: Vec<String> = args.service().cluster_admins.into_iter().collect();
        assert_eq!(admins, ["ann@example.com", "joe@example.com"]);
    }

    #[test]
    fn only_the_dashboard_and_the_gateway_are_answered_unless_the_platform_says_otherwise() {
        let gateway = "cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account";
        let identity = parse(&[]).identity();
        assert_eq!(identity.dashboards, list(DASHBOARDS));
        assert_eq!(identity.trusted, list(&format!("{DASHBOARDS},{gateway}")));
        assert!(!identity.trust_all);
        let identity = parse(&["--dashboard-principals=a", "--istio-ingress-gateway-principal=g"]).identity();
        assert_eq!(identity.trusted, ["a", "g"]);
        let identity = parse(&["--trusted-principals=b,c", "-trust-all-callers"]).identity();
        assert_eq!(identity.trusted, ["b", "c"]);
        assert!(identity.trust_all);
    }
}
