//! The fleet's socket, by which operator verbs find it.

use std::os::unix::fs::PermissionsExt;

use plimsoll_admin::{Config, Error, Listener, serve};
use tokio::net::UnixStream;
use tokio::sync::oneshot;

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
async fn a_directory_that_is_not_there_is_an_error_that_names_the_path() {
    let error = Listener::unix("/nowhere/plimsoll.sock").unwrap_err();
    assert!(matches!(error, Error::BindSocket { .. }));
    assert_eq!(error.to_string(), "cannot listen on the socket /nowhere/plimsoll.sock");
}
