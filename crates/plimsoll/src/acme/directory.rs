//! How the authority is asked: one connection for each request, which it is believed on, and limits for everything.
//!
//! The ACME library would bring a client of its own, with another way to find the system's authorities and no word on when to ask again.

use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{HOST, HeaderValue, RETRY_AFTER, USER_AGENT};
use http::{Request, Response, Uri};
use http_body_util::{BodyExt, Limited};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

pub(super) use plimsoll_trust::Roots;

const TIME_MAX: Duration = Duration::from_secs(30);
/// A chain of certificates has a few KiB.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
const HTTPS: u16 = 443;
const AGENT: HeaderValue = HeaderValue::from_static(concat!("plimsoll/", env!("CARGO_PKG_VERSION")));

type Answer = Result<BytesResponse, Error>;

/// Clones are the same.
#[derive(Clone)]
pub(super) struct Directory {
    tls: Arc<ClientConfig>,
    retry_after: Arc<Mutex<Option<SystemTime>>>,
}

impl Directory {
    pub(super) fn new(roots: &Roots) -> Result<Self, plimsoll_trust::Error> {
        let tls = plimsoll_trust::client(roots, None, &[b"http/1.1"])?;
        Ok(Self { tls: Arc::new(tls), retry_after: Arc::default() })
    }

    /// Until when the last refusal wants us to wait. Told once.
    pub(super) fn take_retry_after(&self) -> Option<SystemTime> {
        self.retry_after.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    async fn exchange(&self, mut request: Request<BodyWrapper<Bytes>>) -> anyhow::Result<BytesResponse> {
        let uri = request.uri().clone();
        let (host, port) = host_and_port(&uri)?;
        address_to(&mut request, &uri)?;
        let stream = TcpStream::connect((host, port)).await?;
        let name = ServerName::try_from(host.to_owned())?;
        let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let mut answer = pin!(async move {
            let (parts, body) = sender.send_request(request).await?.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await.map_err(anyhow::Error::from_boxed)?;
            anyhow::Ok(Response::from_parts(parts, body.to_bytes()))
        });
        let answer = tokio::select! {
            biased;
            answer = &mut answer => answer?,
            ended = connection => {
                ended?;
                answer.await?
            }
        };
        let (parts, body) = answer.into_parts();
        if parts.status.is_client_error() || parts.status.is_server_error() {
            let said = parts.headers.get(RETRY_AFTER).and_then(|value| retry_after(value, SystemTime::now()));
            *self.retry_after.lock().unwrap_or_else(PoisonError::into_inner) = said;
        }
        Ok(BytesResponse { parts, body: Box::new(body) })
    }
}

impl HttpClient for Directory {
    fn request(&self, request: Request<BodyWrapper<Bytes>>) -> Pin<Box<dyn Future<Output = Answer> + Send>> {
        let directory = self.clone();
        Box::pin(async move {
            let place = request.uri().authority().map(ToString::to_string).unwrap_or_default();
            let answer = timeout(TIME_MAX, directory.exchange(request)).await;
            let answer = answer.unwrap_or_else(|_| Err(anyhow::anyhow!("no answer within {} s", TIME_MAX.as_secs())));
            answer.map_err(|error| Error::Other(error.context(place).into()))
        })
    }
}

fn host_and_port(uri: &Uri) -> anyhow::Result<(&str, u16)> {
    anyhow::ensure!(uri.scheme_str() == Some("https"), "{uri} is not asked: it is no https");
    let host = uri.host().ok_or_else(|| anyhow::anyhow!("{uri} names no host"))?;
    Ok((host.trim_matches(['[', ']']), uri.port_u16().unwrap_or(HTTPS)))
}

/// As it stands in HTTP/1.1: the host in a header, the rest in the first line.
fn address_to(request: &mut Request<BodyWrapper<Bytes>>, uri: &Uri) -> anyhow::Result<()> {
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    request.headers_mut().insert(HOST, HeaderValue::from_str(authority)?);
    request.headers_mut().insert(USER_AGENT, AGENT);
    *request.uri_mut() = uri.path_and_query().map_or("/", |path| path.as_str()).parse()?;
    Ok(())
}

/// Seconds or a date (RFC 9110, section 10.2.3).
fn retry_after(value: &HeaderValue, now: SystemTime) -> Option<SystemTime> {
    let text = value.to_str().ok()?.trim();
    match text.parse::<u32>() {
        Ok(seconds) => Some(now + Duration::from_secs(seconds.into())),
        Err(_) => httpdate::parse_http_date(text).ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn until_when_to_wait_is_said_in_seconds_or_by_a_date() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000);
        let until = |text| retry_after(&HeaderValue::from_static(text), now).map(|at| at.duration_since(UNIX_EPOCH).unwrap().as_secs());
        assert_eq!(until(" 120"), Some(1_120));
        assert_eq!(until("Thu, 01 Jan 1970 02:00:00 GMT"), Some(7_200));
        for nonsense in ["", "-1", "soon", "99999999999999999999"] {
            assert_eq!(until(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn only_https_is_asked() {
        let place = |uri: &'static str| host_and_port(&Uri::from_static(uri)).map(|(host, port)| format!("{host} {port}")).ok();
        assert_eq!(place("https://ca.example.com/dir").as_deref(), Some("ca.example.com 443"));
        assert_eq!(place("https://[::1]:14000/dir").as_deref(), Some("::1 14000"));
        assert_eq!(place("http://ca.example.com/dir"), None);
        assert_eq!(place("/dir"), None);
    }
}
