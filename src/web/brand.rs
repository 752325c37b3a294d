//! The branding of billers' pages: a small stylesheet and a logo for each biller, served from our own origin. Their addresses
//! change with their content.

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};

use super::{HttpError, paths};
use crate::directory::{Biller, Colours, Directory};
use signpost_core::Slug;
use signpost_core::text::sha256;

/// The branding of a page.
#[derive(Clone, Debug, Default)]
pub struct Brand {
    /// Address of the biller's stylesheet.
    pub stylesheet: Option<String>,
    pub logo: Option<LogoImage>,
}

#[derive(Clone, Debug)]
pub struct LogoImage {
    pub url: String,
    /// In CSS pixels.
    pub width: u32,
    /// In CSS pixels.
    pub height: u32,
}

/// Height and width, in CSS pixels.
const MAX_LOGO_SIZE: (u32, u32) = (40, 160);

impl Brand {
    pub fn for_biller(biller: &Biller) -> Self {
        let branding = &biller.branding;
        let logo = branding.logo.as_ref().map(|logo| {
            let (width, height) = scaled_size(logo.width, logo.height);
            LogoImage { url: paths::brand_logo(&biller.slug, &logo.hash), width, height }
        });
        let stylesheet = branding.colours.map(|colours| paths::brand_colours(&biller.slug, &version(colours)));
        Self { stylesheet, logo }
    }
}

/// Scales a logo down to fit. Its proportions stay, and a small logo is not enlarged.
fn scaled_size(width: u32, height: u32) -> (u32, u32) {
    let (width, height) = (width.max(1), height.max(1));
    let by_height = (width * MAX_LOGO_SIZE.0 / height, MAX_LOGO_SIZE.0);
    let (w, h) =
        if by_height.0 <= MAX_LOGO_SIZE.1 { by_height } else { (MAX_LOGO_SIZE.1, height * MAX_LOGO_SIZE.1 / width) };
    if w >= width { (width, height) } else { (w.max(1), h.max(1)) }
}

/// Changes with the colours and with the code that makes a stylesheet of them.
fn version(colours: Colours) -> String {
    sha256(colours.stylesheet().as_bytes())[..12].to_owned()
}

/// `GET /b/{slug}/brand/{file}`: the stylesheet or the logo. Under its current name caches may keep it for ever. Under an older
/// name it returns the current file, so that cached pages still work.
pub async fn get(
    State(directory): State<Directory>,
    Path((slug, file)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, HttpError> {
    let not_found = || HttpError::from_status(StatusCode::NOT_FOUND);
    let slug = Slug::parse(&slug).map_err(|_| not_found())?;
    let biller = directory.biller_by_slug(&slug).await?.ok_or_else(not_found)?;
    let branding = &biller.branding;
    let (kind, version, bytes) = if file.starts_with("colours.") {
        let colours = branding.colours.ok_or_else(not_found)?;
        ("text/css; charset=utf-8", version(colours), colours.stylesheet().into_bytes())
    } else if file.starts_with("logo.") {
        let hash = branding.logo.as_ref().map(|logo| logo.hash.clone()).ok_or_else(not_found)?;
        ("image/png", hash, directory.logo(&biller).await?.ok_or_else(not_found)?)
    } else {
        return Err(not_found());
    };
    let is_current = file.split('.').nth(1) == Some(version.as_str());
    let cache_control = if is_current { "public, max-age=31536000, immutable" } else { "no-cache" };
    let tag = format!("\"{version}\"");
    let about = [(header::CACHE_CONTROL, cache_control.to_owned()), (header::ETAG, tag.clone())];
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if known.split(',').any(|one| one.trim().trim_start_matches("W/") == tag) {
        return Ok((StatusCode::NOT_MODIFIED, about).into_response());
    }
    Ok((about, [(header::CONTENT_TYPE, kind)], bytes).into_response())
}

#[cfg(test)]
mod tests {
    use super::scaled_size;

    #[test]
    fn logos_are_scaled_down_in_proportion() {
        assert_eq!(scaled_size(400, 100), (160, 40));
        assert_eq!(scaled_size(1000, 100), (160, 16));
        assert_eq!(scaled_size(100, 400), (10, 40));
        assert_eq!(scaled_size(32, 32), (32, 32), "not enlarged");
        assert_eq!(scaled_size(2048, 1), (160, 1));
    }
}
