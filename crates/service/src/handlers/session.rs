//! `/login`, `/me`, `/logout`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, SET_COOKIE};
use http::{HeaderValue, StatusCode};
use plimsoll_policy::{Reason, Refusal};
use serde_json::json;

use crate::content::Content;
use crate::content::fields::{Fields, FromFields};
use crate::context::Context;
use crate::refused::Refused;
use crate::session::cookie::SessionCookies;
use crate::visitor::Visitor;

pub(crate) struct Login {
    username: String,
}

impl FromFields for Login {
    fn from_fields(fields: &mut Fields) -> Self {
        Self { username: fields.text("username", 1..=64) }
    }
}

pub(crate) async fn login(State(context): State<Context>, visitor: Visitor, content: Content<Login>) -> Result<Response, Refused> {
    let (id, session) = context.sessions.start(content.0.username, &visitor.sessions).await?;
    let cookie = context.cookies.set(id, visitor.secure);
    Ok(personal(Some(cookie), Json(json!({ "username": session.username }))))
}

pub(crate) async fn me(State(context): State<Context>, visitor: Visitor) -> Result<Response, Refused> {
    let resumed = context.sessions.resume(&visitor.sessions).await?.ok_or_else(no_session)?;
    let cookie = resumed.refreshed.then(|| context.cookies.set(resumed.id, visitor.secure));
    Ok(personal(cookie, Json(resumed.session)))
}

/// Also without a session: whoever logs out twice is logged out.
pub(crate) async fn logout(State(context): State<Context>, visitor: Visitor) -> Result<Response, Refused> {
    context.sessions.end(&visitor.sessions).await?;
    Ok(personal(Some(SessionCookies::clear(visitor.secure)), StatusCode::NO_CONTENT))
}

fn no_session() -> Refusal {
    Refusal::new(Reason::SessionMissing, "log in with POST /login and send the cookie it sets")
}

/// An answer for this client only, which no cache may keep.
fn personal(cookie: Option<HeaderValue>, answer: impl IntoResponse) -> Response {
    (cookie.map(|cookie| [(SET_COOKIE, cookie)]), [(CACHE_CONTROL, "no-store")], answer).into_response()
}
