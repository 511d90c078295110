//! Who may read, and from where.

use plimsoll_admin::{Config, Error, Listener, serve};
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::client::{DEADLINE, get};
use crate::fixture::{Admin, Fleet, quick};

const TOKEN: &str = "a-token-nobody-guesses";

fn guarded() -> Config {
    Config { token: Some(TOKEN.into()), ..quick() }
}

#[tokio::test]
async fn without_a_token_only_the_loopback_names_are_served() {
    let admin = Admin::start(&Fleet::new(1), quick()).await;
    for host in ["localhost:8081", "127.0.0.1", "[::1]:8081"] {
        assert_eq!(get(admin.address, "/metrics", &[&format!("Host: {host}")]).await.status, 200, "{host}");
    }
    for path in ["/", "/metrics", "/api/status", "/api/stream", "/assets/dashboard.js", "/nothing", "/?token=x"] {
        let answer = get(admin.address, path, &["Host: rebound.example:8081"]).await;
        assert_eq!((answer.status, answer.problem().as_str()), (403, "host-not-allowed"), "{path}");
    }
}

#[tokio::test]
async fn with_a_token_everything_but_liveness_needs_it() {
    let admin = Admin::start(&Fleet::new(1), guarded()).await;
    let right = format!("Authorization: Bearer {TOKEN}");
    for path in ["/", "/metrics", "/api/status", "/assets/dashboard.js"] {
        let answer = get(admin.address, path, &[]).await;
        assert_eq!((answer.status, answer.problem().as_str()), (401, "token-missing"), "{path}");
        assert!(answer.header("www-authenticate").unwrap().starts_with("Bearer"), "{path}");
        assert_eq!(get(admin.address, path, &[&right, "Host: ops.example"]).await.status, 200, "{path}");
    }
    let wrong = [
        "Authorization: Bearer".to_owned(),
        "Authorization: Bearer wrong".to_owned(),
        format!("Authorization: Bearer {TOKEN}x"),
        format!("Authorization: Bearer {}", &TOKEN[1..]),
        format!("Authorization: Basic {TOKEN}"),
        format!("Cookie: plimsoll_admin={TOKEN}"),
        "Cookie: plimsoll_admin=99999999999.00".to_owned(),
    ];
    for header in wrong {
        assert_eq!(get(admin.address, "/api/status", &[&header]).await.status, 401, "{header}");
    }
    assert_eq!(get(admin.address, "/api/stream", &[]).await.status, 401);
    assert_eq!(get(admin.address, "/health/live", &["Host: anything.example"]).await.status, 200);
}

#[tokio::test]
async fn the_login_link_trades_the_token_for_a_cookie() {
    let admin = Admin::start(&Fleet::new(1), guarded()).await;
    assert_eq!(get(admin.address, "/?token=wrong", &[]).await.status, 401);
    assert_eq!(get(admin.address, &format!("/metrics?token={TOKEN}"), &[]).await.status, 401);

    let login = get(admin.address, &format!("/?token={TOKEN}"), &[]).await;
    assert_eq!((login.status, login.header("location")), (303, Some("/")));
    let cookie = login.header("set-cookie").unwrap();
    assert!(cookie.contains("; HttpOnly") && cookie.contains("; SameSite=Lax"), "{cookie}");
    assert!(!cookie.contains(TOKEN), "the cookie must not hold the token itself");
    let session = cookie.split(';').next().unwrap();
    assert_eq!(get(admin.address, "/", &[&format!("Cookie: {session}")]).await.status, 200);

    let restarted = Admin::start(&Fleet::new(1), guarded()).await;
    assert_eq!(get(restarted.address, "/", &[&format!("Cookie: {session}")]).await.status, 200, "a restart must not log out");
    let other = Config { token: Some("another-token-altogether".into()), ..quick() };
    let changed = Admin::start(&Fleet::new(1), other).await;
    assert_eq!(get(changed.address, "/", &[&format!("Cookie: {session}")]).await.status, 401, "a new token must log out");
}

#[tokio::test]
async fn an_address_others_can_reach_is_refused_without_a_token() {
    let address = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(Listener::tcp(address, &Config::default()).await, Err(Error::TokenNeeded { .. })));

    let bound_elsewhere = Listener::Tcp(TcpListener::bind(address).await.unwrap());
    let served = serve(vec![bound_elsewhere], Fleet::new(0).source(), Config::default(), std::future::pending());
    assert!(matches!(timeout(DEADLINE, served).await, Ok(Err(Error::TokenNeeded { .. }))));

    let admin = Admin::start_on("0.0.0.0:0", &Fleet::new(0), guarded()).await;
    assert_eq!(get(([127, 0, 0, 1], admin.address.port()).into(), "/metrics", &[]).await.status, 401);
}
