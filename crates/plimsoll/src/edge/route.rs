//! Routes, from their settings.

use std::sync::Arc;

use anyhow::{Context, anyhow};
use plimsoll_gateway::action::{Action, Forward};
use plimsoll_gateway::caching::Caching;
use plimsoll_gateway::route::{Limits, Policies, Route};
use plimsoll_policy::hedge;

use super::fallback;
use crate::config::{self, Settings, Wrong};
use crate::report::Failure;

fn failure(wrong: Wrong) -> Failure {
    Failure::asked(format!("route.{}: {}", wrong.key, wrong.message)).hint(wrong.hint)
}

/// A route, and where it was written: its position among the settings, unless it goes without saying.
pub struct Written {
    pub route: Route,
    pub position: Option<usize>,
}

/// The routes to the fleet that this process runs: those of the file that name no upstream, and everything else.
pub fn written_for_fleet(settings: &Settings) -> Result<Vec<Written>, Failure> {
    let own = settings.routes.iter().enumerate().filter(|(_, route)| route.upstream.is_none());
    let own = own.map(|(position, route)| Ok(Written { route: to_route(settings, route, 0, |_| None)?, position: Some(position) }));
    let mut routes = own.collect::<Result<Vec<_>, Failure>>()?;
    let is_everything = |route: &&config::Route| {
        route.upstream.is_none() && route.host.is_none() && route.pattern.is_everything() && route.is_unconditional()
    };
    if settings.routes.iter().find(is_everything).is_none() {
        let route = Route::new(None, "/*", 0).context("the pattern of everything is valid")?;
        routes.push(Written { route, position: None });
    }
    Ok(routes)
}

/// The routes of the file; `check` has made sure that they name upstreams that exist.
pub fn written(settings: &Settings) -> Result<Vec<Written>, Failure> {
    let position = |name: &str| settings.upstreams.iter().position(|upstream| upstream.name == name);
    let route = |(place, route): (usize, &config::Route)| {
        let upstream = match &route.upstream {
            Some(name) => position(name).ok_or_else(|| anyhow!("no upstream is called `{name}`"))?,
            None => 0,
        };
        Ok(Written { route: to_route(settings, route, upstream, position)?, position: Some(place) })
    };
    settings.routes.iter().enumerate().map(route).collect()
}

/// What the gateway is given before the fleet of this process.
pub fn fleet_routes(settings: &Settings) -> Result<Vec<Route>, Failure> {
    written_for_fleet(settings).map(plain)
}

/// What the gateway is given before the upstreams of the file.
pub fn routes(settings: &Settings) -> Result<Vec<Route>, Failure> {
    written(settings).map(plain)
}

pub fn plain(routes: Vec<Written>) -> Vec<Route> {
    routes.into_iter().map(|written| written.route).collect()
}

/// `position`: where an upstream of this name stands in the list.
fn to_route(
    settings: &Settings,
    route: &config::Route,
    upstream: usize,
    position: impl Fn(&str) -> Option<usize>,
) -> Result<Route, Failure> {
    let hedge = &settings.gateway.hedge;
    let hedge = hedge::Config { share: hedge.share as f32, quantile: hedge.quantile as f32, delay_min: hedge.delay_min };
    let action = action(route, upstream, &position)?;
    let policies = Policies {
        priority: route.priority.unwrap_or_default(),
        deadline: route.deadline,
        needs_place: route.admission != Some(config::Switch::Off),
        hedge: (route.hedge == Some(config::Switch::On)).then_some(hedge),
        fallback: fallback::of(route, position)?,
        compresses: route.compress != Some(config::Switch::Off),
        caching: caching(route),
        limits: Limits { total: route.total_timeout, first_byte: route.first_byte_timeout, body_bytes_max: route.body_bytes_max },
        request_headers: route.request_edits().map_err(failure)?,
        response_headers: route.response_edits().map_err(failure)?,
    };
    Ok(Route::of(route.matches().map_err(failure)?, action).with(policies))
}

/// What caches are told. Files do it themselves: it depends on their names.
fn caching(route: &config::Route) -> Caching {
    if route.files.is_some() {
        return Caching::default();
    }
    Caching { cache_control: route.cache_control.clone(), cdn_cache_control: route.cdn_cache_control.clone() }
}

fn action(route: &config::Route, upstream: usize, position: &impl Fn(&str) -> Option<usize>) -> Result<Action, Failure> {
    if let Some(redirect) = route.redirects().map_err(failure)? {
        return Ok(Action::Redirect(redirect));
    }
    if let Some(respond) = route.responds().map_err(failure)? {
        return Ok(Action::Respond(respond));
    }
    if let Some(files) = route.served().map_err(failure)? {
        return Ok(Action::Files(Arc::new(files)));
    }
    let mirror = match &route.mirror_upstream {
        None => None,
        Some(name) => {
            let position = position(name).ok_or_else(|| {
                Failure::asked(format!(
                    "the route `{}` is mirrored to the upstream `{name}`, which is not one of this process",
                    route.pattern
                ))
                .hint("`plimsoll gateway` serves the upstreams of the file; `run` and `up` serve their own instances only")
            })?;
            Some(route.mirror(position).map_err(failure)?)
        }
    };
    let rewrite: Option<Arc<_>> = route.rewrite().map_err(failure)?;
    Ok(Action::Forward(Forward { upstream, rewrite, mirror }))
}
