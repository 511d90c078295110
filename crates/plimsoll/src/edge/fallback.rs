//! A route's other answer, from its settings.

use std::sync::Arc;

use anyhow::Context;
use http::{HeaderValue, StatusCode};
use plimsoll_gateway::Fallback;
use plimsoll_policy::fallback::Prepared;

use crate::config;
use crate::report::Failure;

/// `position`: where an upstream of this name stands in the list.
pub(super) fn of(route: &config::Route, position: impl Fn(&str) -> Option<usize>) -> Result<Option<Fallback>, Failure> {
    if let Some(name) = &route.fallback_upstream {
        let position = position(name).ok_or_else(|| {
            Failure::asked(format!("the route `{}` falls back to the upstream `{name}`, which is not one of this process", route.pattern))
                .hint("`plimsoll gateway` serves the upstreams of the file; `run` and `up` serve their own instances only")
        })?;
        return Ok(Some(Fallback::Upstream(position)));
    }
    if route.fallback_status.is_none() && route.fallback_body.is_none() && route.fallback_file.is_none() {
        return Ok(None);
    }
    let body = match (&route.fallback_file, &route.fallback_body) {
        (Some(file), _) => std::fs::read(file).with_context(|| format!("cannot read the fallback {}", file.display()))?.into(),
        (None, Some(body)) => body.clone().into_bytes().into(),
        (None, None) => bytes::Bytes::new(),
    };
    let status = StatusCode::from_u16(route.fallback_status.unwrap_or(503)).context("a status has three digits")?;
    let content_type =
        route.fallback_type.as_deref().unwrap_or_else(|| route.fallback_file.as_deref().map_or(config::PLAIN, config::type_of));
    let content_type = HeaderValue::from_str(content_type).with_context(|| format!("`{content_type}` is not a content type"))?;
    let prepared = Prepared::new(status, content_type, body).map_err(|error| Failure::asked(error.to_string()))?;
    Ok(Some(Fallback::Prepared(Arc::new(prepared))))
}
