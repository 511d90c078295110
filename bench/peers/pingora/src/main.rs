//! The smallest reverse proxy on Pingora: one thread that steals no work, one origin.
//!
//! `pingora-peer PORT ORIGIN [http2]`

use std::net::Ipv4Addr;

use async_trait::async_trait;
use pingora_core::Result;
use pingora_core::apps::HttpServerOptions;
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::RequestHeader;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

struct Proxy {
    origin: u16,
}

#[async_trait]
impl ProxyHttp for Proxy {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new((Ipv4Addr::LOCALHOST, self.origin), false, String::new())))
    }

    async fn upstream_request_filter(&self, _: &mut Session, request: &mut RequestHeader, (): &mut ()) -> Result<()> {
        request.insert_header("x-forwarded-for", "127.0.0.1")?;
        request.insert_header("x-forwarded-proto", "http")
    }
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words == ["--version"] {
        println!("pingora {}", env!("CARGO_PKG_VERSION"));
        return;
    }
    let number = |index: usize| words.get(index).and_then(|word| word.parse().ok()).expect("usage: pingora-peer PORT ORIGIN [http2]");
    let (port, origin): (u16, u16) = (number(0), number(1));
    let configuration = ServerConf {
        threads: 1,
        work_stealing: false,
        upstream_keepalive_pool_size: 1024,
        // It is asked to stop when nothing is under way any more.
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, configuration);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Proxy { origin });
    if words.iter().any(|word| word == "http2") {
        let mut options = HttpServerOptions::default();
        options.h2c = true;
        service.app_logic_mut().expect("a proxy has its logic").server_options = Some(options);
    }
    service.add_tcp(&format!("127.0.0.1:{port}"));
    server.add_service(service);
    server.run_forever();
}
