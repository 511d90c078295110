//! The dashboard's files, embedded in the binary: no build step, nothing fetched from elsewhere.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::response::Response;
use axum::routing::get;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use sha2::{Digest, Sha256};

struct Asset {
    path: &'static str,
    content_type: &'static str,
    bytes: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

macro_rules! assets {
    ($( $path:literal $content_type:ident $file:literal; )*) => {
        const ASSETS: &[Asset] =
            &[ $( Asset { path: $path, content_type: $content_type, bytes: include_bytes!(concat!("../assets/", $file)) }, )* ];
    };
}

const SVG: &str = "image/svg+xml";

assets! {
    "/" HTML "dashboard.html";
    "/assets/dashboard.css" CSS "dashboard.css";
    "/assets/dashboard.js" JAVASCRIPT "dashboard.js";
    "/assets/chart.js" JAVASCRIPT "chart.js";
    "/assets/charts.js" JAVASCRIPT "charts.js";
    "/assets/events.js" JAVASCRIPT "events.js";
    "/assets/format.js" JAVASCRIPT "format.js";
    "/assets/instances.js" JAVASCRIPT "instances.js";
    "/assets/load.js" JAVASCRIPT "load.js";
    "/assets/rows.js" JAVASCRIPT "rows.js";
    "/assets/stream.js" JAVASCRIPT "stream.js";
    "/assets/mark.svg" SVG "mark.svg";
    "/assets/vendor/uplot.css" CSS "vendor/uplot.css";
    "/assets/vendor/uplot.js" JAVASCRIPT "vendor/uplot.js";
}

/// A route for each file.
pub(crate) fn routes() -> Router {
    ASSETS.iter().fold(Router::new(), |router, asset| {
        let etag = etag(asset.bytes);
        router.route(asset.path, get(move |headers: HeaderMap| async move { serve(asset, etag, &headers) }))
    })
}

/// Browsers ask each time and mostly hear 304: after an upgrade nobody looks at an old dashboard.
fn serve(asset: &'static Asset, etag: HeaderValue, headers: &HeaderMap) -> Response {
    let known = headers.get_all(IF_NONE_MATCH).iter().any(|value| names(value, &etag));
    let body = if known { Body::empty() } else { Body::from(Bytes::from_static(asset.bytes)) };
    let mut response = Response::new(body);
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    }
    let headers = response.headers_mut();
    headers.insert(ETAG, etag);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

fn names(if_none_match: &HeaderValue, etag: &HeaderValue) -> bool {
    // Weak comparison (RFC 9110, 13.1.2): a proxy may have weakened the tag on its way.
    let tags = if_none_match.to_str().unwrap_or_default().split(',');
    tags.map(|tag| tag.trim().trim_start_matches("W/")).any(|tag| tag == "*" || tag.as_bytes() == etag.as_bytes())
}

fn etag(bytes: &[u8]) -> HeaderValue {
    let digest = format!("{:x}", Sha256::digest(bytes));
    HeaderValue::from_str(&format!("\"{}\"", &digest[..16])).expect("hexadecimal in quotes is a header value")
}
