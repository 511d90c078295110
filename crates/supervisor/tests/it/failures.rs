//! Commands that do not work, and what the user is told.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use plimsoll_supervisor::{Backoff, Error, Event, Spec, State};
use tokio::time::Instant;

use crate::world::{World, guard_of, shell, spec, start_error};

fn quick(spec: Spec) -> Spec {
    Spec { backoff: Backoff { initial: Duration::from_millis(5), max: Duration::from_millis(20) }, ..spec }
}

#[tokio::test]
async fn a_misspelt_command_is_an_error_not_a_crash_loop() {
    let error = start_error(spec(3, &["uvicron", "app:app"])).await;
    assert_eq!(error.to_string(), "command not found: `uvicron` is not in PATH");
    assert!(error.hint().unwrap().contains("virtualenv"));
    assert_eq!(guard_of(std::process::id()), None, "nothing was started");
}

#[tokio::test]
async fn a_binary_without_the_hidden_verbs_is_refused() {
    let error = start_error(Spec { self_exe: "/bin/true".into(), ..shell(1, "true") }).await;
    assert!(matches!(error, Error::Guard { .. }), "{error}");
}

#[tokio::test]
async fn a_crash_loop_is_reported_with_the_last_words() {
    let mut world = World::start(quick(shell(1, "echo ModuleNotFoundError: No module named fastapi >&2; exit 1"))).await;
    let (times, status, last_lines, hint) = world
        .event("the report", |event| match event {
            Event::CrashLooping { times, status, last_lines, hint, .. } => Some((times, status, last_lines, hint)),
            _ => None,
        })
        .await;
    assert_eq!((times, status.as_str()), (5, "exit code 1"));
    assert_eq!(last_lines, ["ModuleNotFoundError: No module named fastapi"]);
    assert!(hint.unwrap().contains("virtualenv"));
    world.instances("it goes on trying", |instances| instances[0].restarts_total >= 8).await;
    world.stop().await;
}

#[tokio::test]
async fn a_fleet_that_never_worked_says_so_once_after_three_deaths_each() {
    let mut world = World::start(quick(shell(2, "echo broken; exit 7"))).await;
    let (mut deaths, begin) = (0, Instant::now());
    let (status, last_lines) = world
        .event("the failure", |event| match event {
            Event::Exited { .. } => {
                deaths += 1;
                None
            }
            Event::StartFailed { status, last_lines, .. } => Some((status, last_lines)),
            _ => None,
        })
        .await;
    assert!(deaths >= 6, "{deaths} deaths");
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert_eq!((status.as_str(), last_lines), ("exit code 7", vec!["broken".to_owned()]));
    world.instances("it goes on trying", |instances| instances[0].restarts_total >= 10).await;
    assert!(!world.stop_and_collect().await.iter().any(|event| matches!(event, Event::StartFailed { .. })), "told once");
}

#[tokio::test]
async fn a_fleet_that_once_worked_never_fails_its_start() {
    let mut world = World::start(quick(shell(1, "sleep 0.2; exit 1"))).await;
    world.all_ready().await;
    world
        .event("a crash loop", |event| match event {
            Event::StartFailed { .. } => panic!("it had started"),
            Event::CrashLooping { .. } => Some(()),
            _ => None,
        })
        .await;
    world.stop().await;
}

#[tokio::test]
async fn who_listens_elsewhere_is_told_where_to_listen_and_tried_again() {
    let mut spec = shell(1, "echo running on http://127.0.0.1:8000; exec sleep 1000");
    spec.startup_timeout = Duration::from_millis(500);
    let mut world = World::start(spec).await;
    let (after, hint) = world
        .event("the report", |event| match event {
            Event::NeverReady { after, hint, .. } => Some((after, hint)),
            _ => None,
        })
        .await;
    assert_eq!(after, Duration::from_millis(500));
    assert!(hint.contains("port 8000") && hint.contains("$PORT"), "{hint}");
    let status = world.event("the start failed", |event| if let Event::StartFailed { status, .. } = event { Some(status) } else { None });
    assert_eq!(status.await, "not ready after 500ms");
    world.instances("it is tried again", |instances| instances[0].generation == 2).await;
    world.stop().await;
}

#[tokio::test]
async fn a_script_without_its_interpreter_says_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let script = dir.path().join("serve");
    std::fs::write(&script, "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut world = World::start(quick(spec(1, &[script.to_str().unwrap()]))).await;
    let (status, last_lines) = world
        .event("the failure", |event| match event {
            Event::StartFailed { status, last_lines, .. } => Some((status, last_lines)),
            _ => None,
        })
        .await;
    assert_eq!(status, "exit code 127");
    assert!(last_lines[0].contains("cannot run") && last_lines[0].contains("serve"), "{last_lines:?}");
    world.stop().await;
}

#[tokio::test]
async fn backoff_is_visible_while_it_lasts() {
    let mut spec = shell(1, "exit 1");
    spec.backoff = Backoff { initial: Duration::from_secs(100), max: Duration::from_secs(100) };
    spec.seed = Some(1);
    let world = World::start(spec).await;
    let waiting = |state| matches!(state, State::Backoff { until } if until > Instant::now() + Duration::from_secs(1));
    let instances = world.instances("a long wait", |instances| waiting(instances[0].state)).await;
    assert_eq!((instances[0].generation, instances[0].pid), (2, None), "the first restart came at once");
    world.stop().await;
}
