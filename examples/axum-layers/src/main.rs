//! `cargo run -p axum-layers`: the shop on port 3000, and a weather service of moods on port 3001 for it to depend on.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::{Router, routing::get};
use axum_layers::app;
use plimsoll_policy::forwarded::TrustedProxies;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt().with_env_filter("info,access=debug").init();
    let weather = Router::new().route("/", get(moody)).with_state(Arc::default());
    let weather = axum::serve(TcpListener::bind((Ipv4Addr::LOCALHOST, 3001)).await?, weather);

    let shop = app(Uri::from_static("http://127.0.0.1:3001/"), TrustedProxies::default())?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 3000)).await?;
    // With the address of the peer: without it nobody is trusted, and the access log does not know who asked.
    let shop = axum::serve(listener, shop.into_make_service_with_connect_info::<SocketAddr>());
    let shop = shop.with_graceful_shutdown(async { _ = tokio::signal::ctrl_c().await });
    tokio::select! {
        ended = weather.into_future() => ended?,
        ended = shop.into_future() => ended?,
    }
    Ok(())
}

/// Two answers in ten are errors, and one in a hundred comes after half a minute.
async fn moody(State(asked): State<Arc<AtomicU32>>) -> (StatusCode, &'static str) {
    let number = asked.fetch_add(1, Relaxed);
    if number % 100 == 99 {
        tokio::time::sleep(Duration::from_secs(30)).await;
    }
    if number % 10 < 2 { (StatusCode::SERVICE_UNAVAILABLE, "not now\n") } else { (StatusCode::OK, "sunny\n") }
}
