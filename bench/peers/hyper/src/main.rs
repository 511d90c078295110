//! The smallest reverse proxy on hyper, server and client: one thread, connections to the origin kept in a list. It limits nothing, times nothing,
//! tries nothing again: what is left is what a proxy on hyper costs before it does anything.
//!
//! `hyper-peer PORT ORIGIN [http2] [CHAIN KEY]`

use std::cell::RefCell;
use std::convert::Infallible;
use std::error::Error;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONNECTION, HOST, HeaderValue, UPGRADE};
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper::upgrade::{self, OnUpgrade};
use hyper::{Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Fault = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Fault> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words == ["--version"] {
        println!("hyper {}", env!("CARGO_PKG_VERSION"));
        return Ok(());
    }
    let [port, origin, rest @ ..] = &words[..] else { return Err("usage: hyper-peer PORT ORIGIN [http2] [CHAIN KEY]".into()) };
    let (is_http2, rest) = match rest {
        [word, rest @ ..] if word == "http2" => (true, rest),
        rest => (false, rest),
    };
    let tls = match rest {
        [chain, key] => Some(acceptor(chain, key)?),
        _ => None,
    };
    let proxy = Rc::new(Proxy { origin: origin.parse()?, kept: RefCell::default() });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, serve(port.parse()?, proxy, is_http2, tls))
}

fn acceptor(chain: &str, key: &str) -> Result<TlsAcceptor, Fault> {
    let chain = CertificateDer::pem_file_iter(chain)?.collect::<Result<_, _>>()?;
    let config = ServerConfig::builder().with_no_client_auth().with_single_cert(chain, PrivateKeyDer::from_pem_file(key)?)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn serve(port: u16, proxy: Rc<Proxy>, is_http2: bool, tls: Option<TlsAcceptor>) -> Result<(), Fault> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let (proxy, tls) = (Rc::clone(&proxy), tls.clone());
        tokio::task::spawn_local(async move {
            match tls {
                None => connection(stream, proxy, is_http2).await,
                Some(tls) => match tls.accept(stream).await {
                    Ok(stream) => connection(stream, proxy, is_http2).await,
                    Err(_) => return,
                },
            }
        });
    }
}

async fn connection(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, proxy: Rc<Proxy>, is_http2: bool) {
    let service = service_fn(move |request| {
        let proxy = Rc::clone(&proxy);
        async move {
            Ok::<_, Infallible>(proxy.forward(request).await.unwrap_or_else(|_| {
                let mut response = Response::new(Body::default());
                *response.status_mut() = StatusCode::BAD_GATEWAY;
                response
            }))
        }
    });
    // What goes wrong on a connection is that connection's business.
    if is_http2 {
        let _ = http2::Builder::new(Local).serve_connection(TokioIo::new(stream), service).await;
    } else {
        let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).with_upgrades().await;
    }
}

struct Proxy {
    origin: u16,
    kept: RefCell<Vec<Sender>>,
}

type Sender = SendRequest<Incoming>;

impl Proxy {
    async fn forward(self: Rc<Self>, mut request: Request<Incoming>) -> Result<Response<Body>, Fault> {
        let client = request.headers().contains_key(UPGRADE).then(|| upgrade::on(&mut request));
        prepare(&mut request, client.is_some())?;
        let mut sender = self.sender().await?;
        let mut response = sender.send_request(request).await?;
        if let (StatusCode::SWITCHING_PROTOCOLS, Some(client)) = (response.status(), client) {
            let origin = upgrade::on(&mut response);
            tokio::task::spawn_local(tunnel(client, origin));
            return Ok(response.map(|_| Body::default()));
        }
        response.headers_mut().remove(CONNECTION);
        Ok(response.map(|body| Body { inner: Some(body), lender: Some((sender, self)) }))
    }

    /// A connection that waits for work, or a new one.
    async fn sender(&self) -> Result<Sender, Fault> {
        loop {
            let kept = self.kept.borrow_mut().pop();
            let Some(mut sender) = kept else { break };
            if sender.ready().await.is_ok() {
                return Ok(sender);
            }
        }
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.origin)).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::task::spawn_local(connection.with_upgrades());
        Ok(sender)
    }
}

/// What every proxy does to a request: its target and version for the next hop, no fields of this one, who asked.
fn prepare(request: &mut Request<Incoming>, upgrades: bool) -> Result<(), Fault> {
    let host = request.uri().authority().map(|authority| HeaderValue::from_str(authority.as_str())).transpose()?;
    if let Some(host) = host {
        request.headers_mut().insert(HOST, host);
    }
    let path = request.uri().path_and_query().cloned();
    *request.uri_mut() = path.map_or_else(|| Uri::from_static("/"), Uri::from);
    *request.version_mut() = Version::HTTP_11;
    let headers = request.headers_mut();
    if !upgrades {
        headers.remove(CONNECTION);
    }
    headers.insert("x-forwarded-for", HeaderValue::from_static("127.0.0.1"));
    headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
    Ok(())
}

async fn tunnel(client: OnUpgrade, origin: OnUpgrade) {
    if let (Ok(client), Ok(origin)) = (client.await, origin.await) {
        // Whoever closes, ends it.
        let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut TokioIo::new(origin)).await;
    }
}

/// An answer's body; when it has been read, its connection is free for the next request.
#[derive(Default)]
struct Body {
    inner: Option<Incoming>,
    lender: Option<(Sender, Rc<Proxy>)>,
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Some(inner) = &mut self.inner else { return Poll::Ready(None) };
        let polled = ready!(Pin::new(&mut *inner).poll_frame(context));
        let ended = inner.is_end_stream();
        if (ended || polled.is_none())
            && let Some((sender, proxy)) = self.lender.take()
        {
            proxy.kept.borrow_mut().push(sender);
        }
        Poll::Ready(polled)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(hyper::body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), hyper::body::Body::size_hint)
    }
}

/// Streams of a connection are tasks of this thread.
#[derive(Clone)]
struct Local;

impl<F: Future<Output: 'static> + 'static> Executor<F> for Local {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
