//! From a URL to a store.

use std::path::PathBuf;
use std::sync::Arc;

use crate::backend::{Error, Result, State};
use crate::memory::Memory;
use crate::redis::Redis;
use crate::sqlite::Sqlite;

/// Opens the store that `url` names (the table in the crate's documentation lists the forms).
///
/// A store that is only away for the moment is no error where it can come back by itself (redis): its calls say so until then.
pub async fn open(url: &str) -> Result<State> {
    let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
    match scheme {
        "memory" if rest.is_empty() => Ok(Arc::new(Memory::default())),
        "sqlite" => Ok(Arc::new(Sqlite::open(&sqlite_path(url, rest)?).await?)),
        "redis" | "redis+unix" | "redis+sentinel" | "redis+cluster" | "valkey" => {
            Redis::open(url).map(|redis| Arc::new(redis) as State).map_err(|problem| unusable(url, &problem))
        }
        "memory" => Err(unusable(url, "`memory:` takes nothing after the colon")),
        _ => Err(unusable(
            url,
            "use `memory:`, `sqlite:PATH`, `redis://HOST:PORT`, `redis+sentinel://…`, `redis+cluster://…` or `redis+unix:///PATH`",
        )),
    }
}

/// `sqlite:PATH`; the slashes of `sqlite:///absolute` are a habit from elsewhere and accepted.
fn sqlite_path(url: &str, rest: &str) -> Result<PathBuf> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    match path {
        "" => Err(unusable(url, "name a file after `sqlite:`")),
        ":memory:" => Err(unusable(url, "use `memory:` for state that is not kept")),
        path => Ok(path.into()),
    }
}

/// Never repeats a password: errors are printed and logged.
fn unusable(url: &str, problem: &str) -> Error {
    Error::Url { url: without_password(url), problem: problem.into() }
}

fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.into() };
    match rest.rsplit_once('@') {
        Some((credentials, place)) => {
            let user = credentials.split_once(':').map_or("", |(user, _)| user);
            format!("{scheme}://{user}:…@{place}")
        }
        None => url.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_unusable_url_is_explained_without_its_password() {
        let error = open("http://ada:secret@localhost").await.err().unwrap().to_string();
        assert!(error.contains("http://ada:…@localhost") && error.contains("redis://"), "{error}");
        assert!(!error.contains("secret"), "{error}");
    }
}
