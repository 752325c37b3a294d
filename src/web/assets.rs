//! Static files, compiled into the program. Their names contain a hash of their content, so that browsers may cache them forever.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use super::paths;
use signpost_core::text::sha256;

/// A static file.
#[derive(Debug)]
pub struct Asset {
    /// The path, which contains the hash.
    pub path: String,
    content_type: &'static str,
    bytes: &'static [u8],
}

impl Asset {
    fn new(name: &str, extension: &str, content_type: &'static str, bytes: &'static [u8]) -> Self {
        let path = paths::static_file(&format!("{name}.{}.{extension}", &sha256(bytes)[..12]));
        Self { path, content_type, bytes }
    }
}

/// The stylesheet of all pages.
pub static STYLESHEET: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("signpost", "css", "text/css; charset=utf-8", include_bytes!("../../static/signpost.css"))
});
/// The stylesheet of the console.
pub static CONSOLE_STYLESHEET: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("console", "css", "text/css; charset=utf-8", include_bytes!("../../static/console.css"))
});
/// The script of the console: live progress and copy buttons. Pages work without it.
pub static CONSOLE_SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("console", "js", "text/javascript; charset=utf-8", include_bytes!("../../static/console.js"))
});
/// The additional stylesheet of the API documentation.
pub static DOCS_STYLESHEET: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("docs", "css", "text/css; charset=utf-8", include_bytes!("../../static/docs.css")));
pub static LOGO: LazyLock<Asset> =
    LazyLock::new(|| Asset::new("logo", "svg", "image/svg+xml", include_bytes!("../../static/logo.svg")));

/// Serves the files of customer pages.
pub async fn get(Path(file): Path<String>) -> Response {
    serve_asset(&file, &[&STYLESHEET, &DOCS_STYLESHEET, &LOGO])
}

/// Serves the files of the console, which also previews customer pages.
pub async fn get_for_console(Path(file): Path<String>) -> Response {
    serve_asset(&file, &[&CONSOLE_STYLESHEET, &CONSOLE_SCRIPT, &STYLESHEET, &LOGO])
}

fn serve_asset(file: &str, assets: &[&Asset]) -> Response {
    let path = paths::static_file(file);
    match assets.iter().find(|asset| asset.path == path) {
        Some(asset) => {
            let cache_control = "public, max-age=31536000, immutable";
            ([(header::CONTENT_TYPE, asset.content_type), (header::CACHE_CONTROL, cache_control)], asset.bytes)
                .into_response()
        }
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
