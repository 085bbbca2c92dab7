//! The style, the script and the icon, which are part of the binary. Their addresses change with their content, so that browsers
//! may keep them for ever.

use std::sync::LazyLock;

use axum::{
    extract::Path,
    http::header,
    response::{IntoResponse, Response},
};
use sha2::{Digest, Sha256};

use crate::error::ApiError;

/// A file of the pages.
pub(super) struct Asset {
    name: String,
    content: &'static str,
    content_type: &'static str,
}

pub(super) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("style", "css", include_str!("../../assets/style.css"), "text/css; charset=utf-8")
});
pub(super) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("script", "js", include_str!("../../assets/script.js"), "text/javascript; charset=utf-8")
});
pub(super) static ICON: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("icon", "svg", include_str!("../../assets/icon.svg"), "image/svg+xml"));

impl Asset {
    fn new(stem: &str, extension: &str, content: &'static str, content_type: &'static str) -> Self {
        let hash: String = Sha256::digest(content).iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Self { name: format!("{stem}-{hash}.{extension}"), content, content_type }
    }

    /// The address.
    pub(super) fn path(&self) -> String {
        format!("/kfam/ui/assets/{}", self.name)
    }
}

/// Serves one of them.
pub(super) async fn serve(Path(name): Path<String>) -> Result<Response, ApiError> {
    let asset = [&STYLE, &SCRIPT, &ICON].into_iter().find(|asset| asset.name == name);
    let asset = asset.ok_or_else(|| ApiError::not_found("there is no such file: load the page again"))?;
    let headers = [
        (header::CONTENT_TYPE, asset.content_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
    ];
    Ok((headers, asset.content).into_response())
}
