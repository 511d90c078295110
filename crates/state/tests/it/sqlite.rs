//! State in a file: every claim, other processes, and files that are not what they should be.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use bytes::Bytes;
use plimsoll_state::{Error, Message, State, open};
use tempfile::TempDir;
use tokio::time::timeout;

use crate::Pair;
use crate::claims::channels::next;

crate::with_claims!(check_each_claim!(open_pair));

/// Set for a copy of this program that plays another process.
const OTHER_PROCESS: &str = "PLIMSOLL_TEST_STATE";

async fn open_pair() -> (Pair, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let url = url(&directory);
    (Pair { here: open(&url).await.unwrap(), there: open(&url).await.unwrap() }, directory)
}

fn url(directory: &TempDir) -> String {
    format!("sqlite:{}", directory.path().join("state.db").display())
}

async fn error_of(path: &Path) -> Error {
    open(&format!("sqlite:{}", path.display())).await.err().expect("it does not open")
}

#[tokio::test]
async fn only_the_owner_can_read_the_files() {
    let (pair, directory) = open_pair().await;
    pair.here.set("session", "secret".into(), None).await.unwrap();
    let files: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(Result::unwrap).collect();
    assert_eq!(files.len(), 3, "the database, its write-ahead log and the log's index: {files:?}");
    for file in files {
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
}

#[tokio::test]
async fn state_outlives_the_process_and_versions_go_on() {
    let (Pair { here, there }, directory) = open_pair().await;
    let version = here.set("kept", "x".into(), None).await.unwrap();
    drop((here, there));
    let again = open(&url(&directory)).await.unwrap();
    assert_eq!(again.get("kept").await.unwrap().unwrap().version, version);
    assert!(again.delete("kept").await.unwrap());
    assert_ne!(again.set("kept", "x".into(), None).await.unwrap(), version);
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    let notes = "no database at all\n".repeat(100);
    std::fs::write(&path, &notes).unwrap();
    let error = error_of(&path).await;
    assert!(matches!(&error, Error::Broken(text) if text.contains("notes.txt") && text.contains("move it")), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), notes);
}

#[tokio::test]
async fn a_database_of_a_later_version_is_left_alone() {
    let (pair, directory) = open_pair().await;
    drop(pair);
    let path = directory.path().join("state.db");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let error = error_of(&path).await.to_string();
    assert!(error.contains("version 99") && error.contains("state.db"), "{error}");
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let error = error_of(&directory.path().join("nowhere/state.db")).await;
    assert!(matches!(&error, Error::Url { url, .. } if url.contains("nowhere/state.db")), "{error}");
}

#[tokio::test]
async fn a_locked_file_makes_writes_unavailable_for_a_while() {
    let (Pair { here, .. }, directory) = open_pair().await;
    here.set("before", "x".into(), None).await.unwrap();
    let intruder = rusqlite::Connection::open(directory.path().join("state.db")).unwrap();
    intruder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let started = Instant::now();
    let refusal = here.set("during", "x".into(), None).await;
    assert!(matches!(&refusal, Err(Error::Unavailable(text)) if text.contains("locked")), "{refusal:?}");
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    assert!(here.get("before").await.unwrap().is_some(), "reads wait for nobody");
    let given_up = timeout(Duration::from_millis(200), here.set("given up", "x".into(), None)).await;
    assert!(given_up.is_err(), "{given_up:?}");
    intruder.execute_batch("ROLLBACK").unwrap();
    here.set("after", "x".into(), None).await.unwrap();
    for key in ["during", "given up"] {
        assert_eq!(here.get(key).await.unwrap(), None, "{key}: it did not happen later");
    }
}

#[tokio::test]
async fn expired_rows_leave_the_file() {
    let (Pair { here, .. }, directory) = open_pair().await;
    let ttl = Some(Duration::from_millis(1));
    for number in 0..100 {
        here.set(&format!("short {number}"), "x".into(), ttl).await.unwrap();
        here.increment(&format!("short {number}"), 1, ttl).await.unwrap();
    }
    let reader = rusqlite::Connection::open(directory.path().join("state.db")).unwrap();
    let rows = || {
        let count = "SELECT (SELECT count(*) FROM value) + (SELECT count(*) FROM counter)";
        reader.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    plimsoll_testbed::poll::until(crate::claims::SOON, "expired rows to be deleted", async || {
        here.set("traffic", "goes on".into(), None).await.unwrap();
        (rows() == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_subscriber_gets_nothing_from_before() {
    let (Pair { here, there }, _directory) = open_pair().await;
    let _listening_already = there.subscribe("news").await.unwrap();
    for round in 0..20 {
        here.publish("news", "before".into()).await.unwrap();
        let mut subscription = there.subscribe("news").await.unwrap();
        here.publish("news", Bytes::from(format!("after {round}"))).await.unwrap();
        assert_eq!(next(&mut subscription).await, Message::Data(format!("after {round}").into()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_share_everything() {
    const PROCESSES: usize = 3;
    let (Pair { here, .. }, directory) = open_pair().await;
    let mut greetings = here.subscribe("greetings").await.unwrap();
    let mut others = Vec::new();
    for _ in 0..PROCESSES {
        let mut other = Command::new(std::env::current_exe().unwrap());
        other.args(["sqlite::another_process", "--exact", "--ignored"]).env(OTHER_PROCESS, url(&directory)).stdout(Stdio::null());
        others.push(other.spawn().unwrap());
    }
    for _ in 0..PROCESSES {
        assert_eq!(next(&mut greetings).await, Message::Data("hello".into()));
    }
    here.publish("go", "on".into()).await.unwrap();
    for mut other in others {
        assert!(other.wait().unwrap().success());
    }
    assert_eq!(here.increment("work", 0, None).await.unwrap(), 200 * PROCESSES as i64);
    assert_eq!(here.list_newest("log", 1000).await.unwrap().len(), 10);
}

/// What each of the processes does; no test by itself.
#[tokio::test]
#[ignore = "started by processes_share_everything"]
async fn another_process() {
    let url = std::env::var_os(OTHER_PROCESS).unwrap().into_string().unwrap();
    let state: State = open(&url).await.unwrap();
    let mut go = state.subscribe("go").await.unwrap();
    state.publish("greetings", "hello".into()).await.unwrap();
    next(&mut go).await;
    for number in 0..200 {
        state.increment("work", 1, None).await.unwrap();
        state.list_push("log", number.to_string().into(), 10).await.unwrap();
    }
}
