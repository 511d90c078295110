//! Reading a JSON body. Everything that can be wrong with it has its own answer, in this order: 415 not JSON by its own account, 413 too
//! large (refused before reading where the client declares it), 408 too slow, 400 not JSON in fact, 422 JSON with faults – all of them.

pub(crate) mod fields;

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use plimsoll_policy::{Reason, Refusal};

use crate::refused::Refused;
use fields::FromFields;

/// No call of this API needs more.
pub(crate) const BYTES_MAX: usize = 64 * 1_024;
/// For the whole body: 64 KiB in ten seconds is slower than any network that can hold a connection.
const ARRIVAL_MAX: Duration = Duration::from_secs(10);

/// The content of a request, read and checked.
pub(crate) struct Content<T>(pub(crate) T);

impl<S: Sync, T: FromFields> FromRequest<S> for Content<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, _: &S) -> Result<Self, Refused> {
        let (parts, body) = request.into_parts();
        expect_json(&parts.headers)?;
        let bytes = read(body).await?;
        let json = serde_json::from_slice(&bytes)
            .map_err(|error| Refusal::new(Reason::MalformedBody, format!("the body is not JSON: {error}")))?;
        let content =
            fields::read(json).map_err(|faults| Refusal::new(Reason::InvalidContent, "`errors` lists every fault").with_errors(faults))?;
        Ok(Self(content))
    }
}

fn expect_json(headers: &HeaderMap) -> Result<(), Refusal> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_json = media_type == "application/json" || (media_type.starts_with("application/") && media_type.ends_with("+json"));
    if !is_json {
        return Err(Refusal::new(Reason::UnsupportedMediaType, "send `content-type: application/json`"));
    }
    if headers.contains_key(CONTENT_ENCODING) {
        return Err(Refusal::new(Reason::UnsupportedMediaType, "send the body without a content-encoding"));
    }
    Ok(())
}

async fn read(body: Body) -> Result<Bytes, Refusal> {
    let too_large = || Refusal::new(Reason::ContentTooLarge, format!("send at most {BYTES_MAX} bytes"));
    // Before the first read: a client that waits for `100 Continue` is spared the sending.
    if http_body::Body::size_hint(&body).lower() > BYTES_MAX as u64 {
        return Err(too_large());
    }
    let arrival = tokio::time::timeout(ARRIVAL_MAX, Limited::new(body, BYTES_MAX).collect()).await;
    let collected =
        arrival.map_err(|_| Refusal::new(Reason::ContentTimeout, format!("send the body within {} s", ARRIVAL_MAX.as_secs())))?;
    collected.map(http_body_util::Collected::to_bytes).map_err(|error| {
        if error.is::<LengthLimitError>() { too_large() } else { Refusal::new(Reason::MalformedRequest, "the body broke off") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_arrives_is_given_up() {
        let (_unsent, arriving) = tokio::sync::mpsc::channel::<Result<_, std::convert::Infallible>>(1);
        let body = Body::new(http_body_util::StreamBody::new(Arriving(arriving)));
        assert_eq!(read(body).await.unwrap_err().reason, Reason::ContentTimeout);
    }

    struct Arriving(tokio::sync::mpsc::Receiver<Result<http_body::Frame<Bytes>, std::convert::Infallible>>);

    impl futures_util::Stream for Arriving {
        type Item = Result<http_body::Frame<Bytes>, std::convert::Infallible>;

        fn poll_next(mut self: std::pin::Pin<&mut Self>, context: &mut std::task::Context<'_>) -> std::task::Poll<Option<Self::Item>> {
            self.0.poll_recv(context)
        }
    }
}
