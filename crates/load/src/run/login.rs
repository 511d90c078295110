//! Every virtual user logs in before the load begins, so that the load is only what was asked for.

use std::cell::Cell;
use std::rc::Rc;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::lane::{self, Line};
use super::worker::Worker;
use crate::error::Error;
use crate::record::ErrorKind;
use crate::send::Failure;

/// Logging in at a time, on each thread: hashing a password is slow by design.
const AT_ONCE: usize = 8;

/// Sends the login of every user of this thread; the first that fails ends it.
pub(super) async fn log_in(worker: &Rc<Worker>) -> Result<(), Error> {
    if worker.prepared.login.is_empty() {
        return Ok(());
    }
    let next = Rc::new(Cell::new(0));
    let mut visitors = JoinSet::new();
    for _ in 0..AT_ONCE.min(worker.jars().len()) {
        visitors.spawn_local(one_after_the_other(Rc::clone(worker), Rc::clone(&next)));
    }
    while let Some(visited) = visitors.join_next().await {
        visited.map_err(|_| Error::Lost)??;
    }
    Ok(())
}

async fn one_after_the_other(worker: Rc<Worker>, next: Rc<Cell<usize>>) -> Result<(), Error> {
    let mut line = Line::None;
    let mut bytes = Vec::new();
    while let user = next.replace(next.get() + 1)
        && user < worker.jars().len()
    {
        visit(&worker, user, &mut line, &mut bytes).await?;
    }
    Ok(())
}

async fn visit(worker: &Worker, user: usize, line: &mut Line, bytes: &mut Vec<u8>) -> Result<(), Error> {
    let values = worker.values(Some(user), 0);
    for request in &worker.prepared.login {
        let failed = |reason: String| Error::Login { user: values.user as usize, request: request.name.clone(), reason };
        let asked = async {
            if !line.is_open() {
                *line = lane::connect(worker).await?;
            }
            lane::ask(worker, line, bytes, request, &values, Some(&worker.jars()[user])).await
        };
        let late = |_| Failure::new(ErrorKind::Timeout, "no whole answer within the client's patience");
        match timeout(worker.timeout, asked).await.map_err(late).flatten() {
            Ok(answered) if (200..400).contains(&answered.status) => {}
            Ok(answered) => return Err(failed(format!("answered {}", answered.status))),
            Err(failure) => return Err(failed(failure.to_string())),
        }
    }
    Ok(())
}
