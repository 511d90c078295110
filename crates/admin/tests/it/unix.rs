//! The fleet's socket, by which operator verbs find it.

use std::os::unix::fs::PermissionsExt;

use plimsoll_admin::{Answer, Config, Error, Listener, Order, Outcome, Wish, serve};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{mpsc, oneshot};

use crate::client::exchange;
use crate::fixture::{Fleet, quick};

#[tokio::test]
async fn the_socket_needs_no_token_and_is_closed_to_others() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plimsoll.sock");
    // What a fleet that was killed leaves behind.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());

    let listener = Listener::unix(&path).unwrap();
    let config = Config { token: Some("a-token-nobody-guesses".into()), ..quick() };
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async { stopped.await.unwrap_or(()) };
    let served = tokio::spawn(serve(vec![listener], Fleet::new(3).source(), config, shutdown));

    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing but the socket is left");
    let answer = exchange(UnixStream::connect(&path).await.unwrap(), "GET", "/api/status", &["Host: fleet"]).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["instances"].as_array().unwrap().len(), 3);

    drop(stop);
    served.await.unwrap().unwrap();
    assert!(!path.exists(), "the socket goes with its fleet");
}

#[tokio::test]
async fn a_socket_that_somebody_else_has_put_in_its_place_stays() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plimsoll.sock");
    let before = Listener::unix(&path).unwrap();
    let after = Listener::unix(&path).unwrap();
    drop(before);
    std::os::unix::net::UnixStream::connect(&path).expect("it is the successor's");
    drop(after);
    assert!(!path.exists());
}

#[tokio::test]
async fn orders_are_taken_on_the_socket_and_nowhere_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("plimsoll.sock");
    let (orders, mut given) = mpsc::channel(1);
    let config = Config { orders: Some(orders), ..quick() };
    let tcp = Listener::tcp("127.0.0.1:0".parse().unwrap(), &config).await.unwrap();
    let address = tcp.address().unwrap();
    let listeners = vec![Listener::unix(&path).unwrap(), tcp];
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(serve(listeners, Fleet::new(1).source(), config, async { stopped.await.unwrap_or(()) }));
    let expected = Answer { details: "line 7".into(), hint: Some("try".into()), ..Answer::new(Outcome::Mistaken, "no") };
    let answer = expected.clone();
    let carry_out = async {
        for wish in Wish::ALL {
            let order: Order = given.recv().await.unwrap();
            assert_eq!(order.wish, wish);
            order.answer.send(answer.clone()).unwrap();
        }
    };
    let give = async {
        for wish in Wish::ALL {
            let answer = exchange(UnixStream::connect(&path).await.unwrap(), "POST", wish.path(), &["Host: fleet"]).await;
            assert_eq!(answer.status, 200);
            assert_eq!(serde_json::from_value::<Answer>(answer.json()).unwrap(), expected);
        }
    };
    tokio::join!(carry_out, give);
    for wish in Wish::ALL {
        let elsewhere = exchange(TcpStream::connect(address).await.unwrap(), "POST", wish.path(), &["Host: localhost"]).await;
        assert_eq!(elsewhere.status, 404, "not even for whoever may read the pages");
        let read = exchange(UnixStream::connect(&path).await.unwrap(), "GET", wish.path(), &["Host: fleet"]).await;
        assert_eq!(read.status, 405);
    }
    drop(given);
    let late = exchange(UnixStream::connect(&path).await.unwrap(), "POST", Wish::Reload.path(), &["Host: fleet"]).await;
    assert_eq!(late.json()["outcome"], "failed");
    drop(stop);
    served.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_directory_that_is_not_there_is_an_error_that_names_the_path() {
    let error = Listener::unix("/nowhere/plimsoll.sock").unwrap_err();
    assert!(matches!(error, Error::BindSocket { .. }));
    assert_eq!(error.to_string(), "cannot listen on the socket /nowhere/plimsoll.sock");
}
