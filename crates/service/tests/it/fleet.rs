//! Instances that share a store: nobody can tell which one he talks to, but for `/whoami` and `/stats`.

use serde_json::Value;

use crate::client::Call;
use crate::instance::{Instance, memory};

/// Two instances on one store, each with a handle of its own on it.
async fn fleet() -> (tempfile::TempDir, [Instance; 2]) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", directory.path().join("state.db").display());
    let mut instances = Vec::new();
    for name in ["api-1", "api-2"] {
        let state = plimsoll_state::open(&url).await.unwrap();
        instances.push(Instance::with(state, |config| config.instance = name.into()).await);
    }
    (directory, instances.try_into().ok().unwrap())
}

async fn requests(instance: &Instance) -> Vec<Value> {
    instance.send(Call::get("/stats")).await.json()["requests"].as_array().unwrap().clone()
}

fn brief(request: &Value) -> String {
    let text = |field: &str| request[field].as_str().unwrap().to_owned();
    format!("{} {} {} {}", text("instance"), text("method"), text("path"), request["status"])
}

#[tokio::test]
async fn a_session_is_worth_the_same_on_every_instance() {
    let (_directory, [one, two]) = fleet().await;
    let session = one.login("ada").await;
    assert_eq!(two.me(&session).await.json()["username"], "ada");
    two.send(Call::new("DELETE", "/logout").cookie(&session)).await;
    for instance in [&one, &two] {
        instance.me(&session).await.assert_problem(401, "session-missing");
    }
}

#[tokio::test]
async fn stats_name_who_served_the_last_requests_newest_first() {
    let (_directory, [one, two]) = fleet().await;
    one.send(Call::get("/whoami?secret=1")).await;
    two.send(Call::get("/me")).await;
    one.send(Call::get("/health/ready")).await;
    let seen = requests(&two).await;
    assert_eq!(seen.iter().map(brief).collect::<Vec<_>>(), ["api-2 GET /me 401", "api-1 GET /whoami 200"]);
    let at = seen[0]["at"].as_str().unwrap();
    assert!(at.len() == 24 && at.ends_with('Z') && &at[10..11] == "T", "{at}");
    assert_eq!(brief(&requests(&one).await[0]), "api-2 GET /stats 200");
}

#[tokio::test]
async fn stats_keep_ten_requests_in_order_of_time() {
    let instance = Instance::start(memory().await).await;
    let mut client = instance.client().await;
    for number in 0..25 {
        client.send(Call::get(&format!("/{number}"))).await;
    }
    let seen = requests(&instance).await;
    let paths: Vec<_> = seen.iter().map(|request| request["path"].as_str().unwrap()).collect();
    assert_eq!(seen.len(), 10);
    assert!(seen.is_sorted_by(|newer, older| newer["at"].as_str() >= older["at"].as_str()));
    assert!((15..25).all(|number| paths.contains(&format!("/{number}").as_str())), "{paths:?}");
}

#[tokio::test]
async fn stats_sort_what_instances_pushed_out_of_order_and_skip_what_they_cannot_read() {
    let state = memory().await;
    let instance = Instance::start(state.clone()).await;
    for second in [1, 3, 2] {
        let at = format!("2026-01-01T00:00:0{second}.000Z");
        let item = serde_json::json!({"instance": "api-9", "method": "GET", "path": "/", "status": 200, "at": at});
        state.list_push("stats:requests", item.to_string().into(), 10).await.unwrap();
    }
    state.list_push("stats:requests", "not json".into(), 10).await.unwrap();
    let seconds: Vec<_> = requests(&instance).await.iter().map(|request| request["at"].as_str().unwrap()[18..19].to_owned()).collect();
    assert_eq!(seconds, ["3", "2", "1"]);
}

#[tokio::test]
async fn what_the_client_chose_is_recorded_within_bounds() {
    let instance = Instance::start(memory().await).await;
    instance.send(Call::new(&"M".repeat(300), &format!("/{}", "x".repeat(5_000)))).await;
    let seen = requests(&instance).await;
    assert!(seen[0].to_string().len() < 500, "{}", seen[0]);
}
