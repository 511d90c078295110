//! What a failure of Redis means to the caller: worth a retry, or a case for a person.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::backend::Error;

/// Codes of answers that pass by themselves, or with a little help: loading, failing over, out of memory, disk full, script running.
const PASSING_CODES: [&str; 6] = ["LOADING", "OOM", "MISCONF", "NOREPLICAS", "BUSY", "UNKILLABLE"];
const CREDENTIAL_CODES: [&str; 3] = ["NOAUTH", "WRONGPASS", "NOPERM"];

pub(super) fn explain(error: &RedisError) -> Error {
    use ServerErrorKind as Server;
    let code = error.code().unwrap_or_default();
    let says = |text: &str| error.to_string().contains(text);
    match error.kind() {
        _ if CREDENTIAL_CODES.contains(&code) || says("WRONGPASS") => refused(error),
        _ if PASSING_CODES.contains(&code) || says("LOADING") || says("max number of clients") => away(error),
        ErrorKind::Io
        | ErrorKind::ClusterConnectionNotFound
        | ErrorKind::Server(
            Server::BusyLoading
            | Server::TryAgain
            | Server::ClusterDown
            | Server::MasterDown
            | Server::ReadOnly
            | Server::Moved
            | Server::Ask,
        ) => away(error),
        ErrorKind::MasterNameNotFoundBySentinel => {
            Error::Unavailable(format!("no sentinel knows a master of the name in the state url ({error})"))
        }
        ErrorKind::AuthenticationFailed => refused(error),
        _ => Error::Broken(format!("redis refused a command ({error})")),
    }
}

/// The server that was asked is no longer the right one, or the connection to it is of no use any more.
pub(super) fn wants_new_connection(error: &RedisError) -> bool {
    error.is_io_error()
        || matches!(error.kind(), ErrorKind::Parse | ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown))
}

/// Nothing happened, and the next try may go to the right node of the cluster.
pub(super) fn is_misdirected(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ClusterConnectionNotFound | ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask | ServerErrorKind::TryAgain)
    )
}

fn away(error: &RedisError) -> Error {
    Error::Unavailable(format!("redis is away ({error})"))
}

fn refused(error: &RedisError) -> Error {
    Error::Broken(format!("redis does not let this user in ({error}): correct user and password in the state url"))
}
