//! Asks the running fleet over its control socket.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow};
use plimsoll_admin::{Answer, Outcome, Wish};

use crate::data_dir;
use crate::report::Failure;

/// For sending, and for answers that need no work.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// A thousand instances fit.
const ANSWER_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Gives an order and waits until it has been carried out, or not.
pub fn order(data_dir: &Path, wish: Wish, patience: Duration, json: bool) -> Result<(), Failure> {
    let body = ask(data_dir, &format!("POST {}", wish.path()), patience)?;
    let answer: Answer = serde_json::from_str(&body).context("the fleet's answer cannot be read; is it another version of plimsoll?")?;
    if json {
        println!("{body}");
    }
    if answer.outcome != Outcome::Done {
        return Err(Failure::of_answer(answer));
    }
    if !json {
        println!("{}", answer.text);
    }
    Ok(())
}

/// What the fleet with this data directory answers to a request.
pub fn ask(data_dir: &Path, request: &str, patience: Duration) -> Result<String, Failure> {
    let path = data_dir::socket_in(data_dir);
    let stream = UnixStream::connect(&path).map_err(|error| {
        let nobody = matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused);
        let error = anyhow!(error).context(format!("cannot reach the fleet at `{}`", path.display()));
        let hint = if nobody {
            "no fleet runs with this data directory; start one with `plimsoll up`, or name its directory with --data-dir"
        } else {
            "run it as the user who started the fleet"
        };
        Failure::failed(error).hint(hint)
    })?;
    Ok(answer(stream, request, patience).with_context(|| format!("the fleet at `{}` does not answer", path.display()))?)
}

/// One request, one answer, close: HTTP/1.0 needs no more.
fn answer(mut stream: UnixStream, request: &str, patience: Duration) -> anyhow::Result<String> {
    stream.set_read_timeout(Some(patience))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(format!("{request} HTTP/1.0\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n").as_bytes())?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the answer is not HTTP")?;
    if head.split(' ').nth(1) == Some("200") { Ok(body.to_owned()) } else { Err(anyhow!("{}", head.lines().next().unwrap_or_default())) }
}
