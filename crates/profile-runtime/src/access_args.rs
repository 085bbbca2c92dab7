//! The flags that say how users are recognised and let in: the same for every binary of a platform, so that what one grants
//! is what the other expects.

use clap::Args;
use profile_render::{
    PlatformConfig,
    config::{Principals, ReservedNames},
};

/// How users are recognised and let in.
#[derive(Clone, Debug, Args)]
pub struct AccessArgs {
    /// HTTP header that carries the authenticated user.
    #[arg(long, default_value = "x-goog-authenticated-user-email", value_name = "HEADER", value_parser = parse_header)]
    pub userid_header: String,

    /// What stands in front of the user's name in that header.
    #[arg(long, default_value = "accounts.google.com:", value_name = "PREFIX", value_parser = parse_prefix)]
    pub userid_prefix: String,

    /// Claim of the request's JWT that lists the user's groups. Without it, a group that is given access gets in by kubectl
    /// but not through the browser.
    #[arg(long, default_value = "", value_name = "CLAIM", hide_default_value = true, value_parser = parse_claim)]
    pub groups_claim: String,

    /// Names that no Profile may have, comma-separated; a name may end in '*'.
    #[arg(long, default_value = ReservedNames::DEFAULT, value_name = "NAMES")]
    pub reserved_names: ReservedNames,

    /// Mesh identity of the ingress gateway.
    #[arg(
        long,
        env = "ISTIO_INGRESS_GATEWAY_PRINCIPAL",
        default_value = "",
        hide_default_value = true,
        value_name = "PRINCIPAL"
    )]
    pub istio_ingress_gateway_principal: String,

    /// Mesh identity of the Kubeflow Pipelines user interface.
    #[arg(
        long,
        env = "KFP_UI_PRINCIPAL",
        default_value = "",
        hide_default_value = true,
        value_name = "PRINCIPAL"
    )]
    pub kfp_ui_principal: String,
}

impl AccessArgs {
    /// The settings; those that these flags do not tell have their defaults. An empty principal stands for its default.
    pub fn config(&self) -> PlatformConfig {
        let default = Principals::default();
        PlatformConfig {
            userid_header: self.userid_header.clone(),
            userid_prefix: self.userid_prefix.clone(),
            groups_claim: Some(self.groups_claim.clone()).filter(|claim| !claim.is_empty()),
            principals: Principals {
                ingress_gateway: given_or(&self.istio_ingress_gateway_principal, default.ingress_gateway),
                kfp_ui: given_or(&self.kfp_ui_principal, default.kfp_ui),
                notebook_controller: default.notebook_controller,
            },
            reserved_names: self.reserved_names.clone(),
            ..PlatformConfig::default()
        }
    }
}

/// A value from the environment, where an empty one stands for the default.
pub fn given_or(value: &str, default: String) -> String {
    if value.is_empty() { default } else { value.to_owned() }
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
