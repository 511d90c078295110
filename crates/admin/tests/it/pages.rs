//! The pages: their content, their headers, their errors.

use plimsoll_telemetry::Status;
use tokio::net::TcpStream;

use crate::client::{exchange, get};
use crate::fixture::{Admin, Fleet, quick};

#[tokio::test]
async fn status_is_of_this_moment() {
    let fleet = Fleet::new(2);
    // Only one look, before the change.
    let mut config = quick();
    config.limits.sample_interval = std::time::Duration::from_hours(1);
    let admin = Admin::start(&fleet, config).await;
    get(admin.address, "/health/live", &[]).await;
    fleet.change(|snapshot| snapshot.instances[0].pid = Some(9_999));
    let answer = get(admin.address, "/api/status", &[]).await;
    let status: Status = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(status.instances[0].pid, Some(9_999));
}

#[tokio::test]
async fn every_file_the_page_names_is_served_and_revalidated() {
    let admin = Admin::start(&Fleet::new(0), quick()).await;
    let page = get(admin.address, "/", &[]).await;
    let named = page.body.split('"').filter(|value| value.starts_with("/assets/")).collect::<Vec<_>>();
    assert!(named.len() >= 4, "{named:?}");
    let script = get(admin.address, "/assets/dashboard.js", &[]).await.body;
    let imported = script.split('"').filter_map(|value| value.strip_prefix("./")).map(|name| format!("/assets/{name}"));
    for path in named.iter().map(|path| (*path).to_owned()).chain(imported).chain(["/".to_owned()]) {
        let answer = get(admin.address, &path, &[]).await;
        assert_eq!(answer.status, 200, "{path}");
        let etag = answer.header("etag").unwrap();
        assert!(etag.starts_with('"'), "{path}: a strong tag");
        let again = get(admin.address, &path, &[&format!("If-None-Match: \"other\", {etag}")]).await;
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{path}");
        assert_eq!(get(admin.address, &path, &["If-None-Match: \"other\""]).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn nothing_inline_and_nothing_from_elsewhere_runs() {
    let admin = Admin::start(&Fleet::new(0), quick()).await;
    for path in ["/", "/api/status", "/assets/dashboard.js", "/nothing", "/health/live"] {
        let answer = get(admin.address, path, &[]).await;
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(answer.header("cache-control").is_some(), "{path}");
    }
}

#[tokio::test]
async fn errors_are_problems() {
    let admin = Admin::start(&Fleet::new(0), quick()).await;
    let missing = get(admin.address, "/nothing", &[]).await;
    assert_eq!((missing.status, missing.problem().as_str()), (404, "not-found"));
    let stream = TcpStream::connect(admin.address).await.unwrap();
    let posted = exchange(stream, "POST", "/api/status", &["Content-Length: 0"]).await;
    assert_eq!((posted.status, posted.problem().as_str()), (405, "method-not-allowed"));
    assert_eq!(posted.header("allow"), Some("GET,HEAD"));
}
