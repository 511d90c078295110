//! What an instance that does not come up is probably doing wrong, from what it said last.

use crate::instance::Address;

/// For a process that runs and never gets ready.
pub(crate) fn never_ready(address: &Address, last_lines: &[String]) -> String {
    let listen = listen_here(address);
    let elsewhere = match address {
        Address::Tcp(address) => last_lines.iter().rev().find_map(|line| port_in_url(line)).filter(|port| *port != address.port()),
        Address::Unix(_) => None,
    };
    match elsewhere {
        Some(port) => format!("it says that it listens on port {port}, but {listen}"),
        None => format!("{listen}; if it only needs longer, raise the startup timeout"),
    }
}

/// For a process that died.
pub(crate) fn died(address: &Address, status: &str, last_lines: &[String]) -> Option<String> {
    let said = |part: &str| last_lines.iter().any(|line| line.to_ascii_lowercase().contains(part));
    if said("address already in use") || said("eaddrinuse") {
        return Some(listen_here(address));
    }
    if said("modulenotfounderror") || said("no module named") {
        return Some("a Python package is missing: is the virtualenv active?".to_owned());
    }
    if said("cannot find module") || said("err_module_not_found") {
        return Some("a Node package is missing: was `npm install` run?".to_owned());
    }
    match status {
        "killed by SIGKILL" => Some("somebody killed it; if the system ran out of memory, `dmesg` says so".to_owned()),
        "exit code 0" => Some("it ended by itself: a server must stay in the foreground".to_owned()),
        _ => None,
    }
}

fn listen_here(address: &Address) -> String {
    match address {
        Address::Tcp(address) => {
            format!("it must listen on {}:$PORT (this time {address}): read PORT, or put {{port}} into the command", address.ip())
        }
        Address::Unix(path) => format!("it must listen on the socket that {{socket}} names (this time {})", path.display()),
    }
}

/// The port of the first `http://host:port` in a line, as most servers print it.
fn port_in_url(line: &str) -> Option<u16> {
    let (_, rest) = line.split_once("://")?;
    let authority = rest.split(|character: char| character == '/' || character.is_whitespace() || character.is_control()).next()?;
    let (_, port) = authority.rsplit_once(':')?;
    let digits = port.find(|character: char| !character.is_ascii_digit()).map_or(port, |end| &port[..end]);
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp() -> Address {
        Address::Tcp(([127, 0, 0, 1], 4000).into())
    }

    fn lines(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn names_the_port_that_the_app_took_instead() {
        let uvicorn = lines(&["INFO:     Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)"]);
        assert!(never_ready(&tcp(), &uvicorn).starts_with("it says that it listens on port 8000, but it must listen on 127.0.0.1:$PORT"));
        let right = lines(&["listening at http://localhost:4000/\u{1b}[0m"]);
        assert!(never_ready(&tcp(), &right).contains("raise the startup timeout"));
        assert!(never_ready(&Address::Unix("/run/a.sock".into()), &uvicorn).contains("/run/a.sock"));
    }

    #[test]
    fn recognises_common_deaths() {
        let died = |line: &str| died(&tcp(), "exit code 1", &lines(&[line]));
        assert!(died("OSError: [Errno 98] Address already in use").unwrap().contains("$PORT"));
        assert!(died("ModuleNotFoundError: No module named 'fastapi'").unwrap().contains("virtualenv"));
        assert!(died("Error: Cannot find module 'express'").unwrap().contains("npm install"));
        assert_eq!(died("Segmentation fault"), None);
    }
}
