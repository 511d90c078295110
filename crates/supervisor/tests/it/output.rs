//! What instances print.

use plimsoll_supervisor::{Event, Stream};

use crate::world::{World, shell};

#[tokio::test]
async fn lines_carry_the_name_and_the_stream() {
    let mut world = World::start(shell(2, "echo to stdout; echo to stderr >&2; printf 'no end'; kill -STOP $$")).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let line = world
            .event("a line", |event| match event {
                Event::Line { instance, stream, text } => Some((instance, stream, text)),
                _ => None,
            })
            .await;
        seen.push(line);
    }
    seen.sort_by_key(|(instance, stream, _)| (instance.clone(), *stream == Stream::Stderr));
    let expected = ["api-1", "api-2"]
        .into_iter()
        .flat_map(|id| [(id.to_owned(), Stream::Stdout, "to stdout".to_owned()), (id.to_owned(), Stream::Stderr, "to stderr".to_owned())]);
    assert_eq!(seen, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn the_last_words_of_the_dying_come_before_the_news_of_their_end() {
    let mut world = World::start(shell(1, "echo one; echo two >&2; printf three; exit 3")).await;
    let mut lines = Vec::new();
    let status = world
        .event("its end", |event| match event {
            Event::Line { text, .. } => {
                lines.push(text);
                None
            }
            Event::Exited { status, .. } => Some(status),
            _ => None,
        })
        .await;
    lines.sort();
    assert_eq!(lines, ["one", "three", "two"]);
    assert_eq!(status, "exit code 3");
    world.stop().await;
}

#[tokio::test]
async fn an_endless_line_costs_neither_memory_nor_the_next_line() {
    let mut world = World::start(shell(1, "head -c 50000000 /dev/zero | tr '\\0' x; echo; echo after; exec sleep 1000")).await;
    let long = world.line("xxx").await;
    assert!(long.len() < 9_000 && long.ends_with("[cut]"), "{} bytes", long.len());
    world.line("after").await;
    world.stop().await;
}

#[tokio::test]
async fn nobody_listening_stops_neither_the_child_nor_the_fleet() {
    let dir = tempfile::tempdir().unwrap();
    let done = dir.path().join("done");
    let world = World::start(shell(1, &format!("seq 200000; echo done > {}; exec sleep 1000", done.display()))).await;
    crate::world::eventually("the child has printed everything", || done.exists()).await;
    world.stop().await;
}
