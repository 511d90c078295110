//! A shop on a free port, and somebody who asks it.

use std::net::{Ipv4Addr, SocketAddr};

use axum::http::{HeaderMap, Request, StatusCode};
use axum_layers::app;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use plimsoll_policy::forwarded::TrustedProxies;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The member of a problem, as text.
    pub(crate) fn problem(&self, member: &str) -> String {
        assert_eq!(self.headers["content-type"], "application/problem+json", "{self:?}");
        let problem: serde_json::Value = serde_json::from_slice(&self.body).unwrap();
        problem[member].as_str().unwrap_or_default().to_owned()
    }
}

pub(crate) struct Shop {
    address: SocketAddr,
    client: Client<HttpConnector, Empty<Bytes>>,
    /// Ends with the shop.
    _server: JoinSet<()>,
}

impl Shop {
    pub(crate) async fn open(weather: SocketAddr) -> Self {
        Self::open_to(weather, TrustedProxies::default()).await
    }

    /// Whoever asks does so through a proxy that the shop trusts.
    pub(crate) async fn open_behind_proxy(weather: SocketAddr) -> Self {
        Self::open_to(weather, TrustedProxies::new(vec!["127.0.0.0/8".parse().unwrap()])).await
    }

    async fn open_to(weather: SocketAddr, trusted: TrustedProxies) -> Self {
        let app = app(format!("http://{weather}/").parse().unwrap(), trusted).unwrap();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app.into_make_service_with_connect_info::<SocketAddr>()).await.unwrap() });
        Self { address, client: Client::builder(TokioExecutor::new()).build_http(), _server: server }
    }

    pub(crate) async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Answer {
        let mut request = Request::get(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, body) = self.client.request(request.body(Empty::new()).unwrap()).await.unwrap().into_parts();
        Answer { status: head.status, headers: head.headers, body: body.collect().await.unwrap().to_bytes() }
    }
}
