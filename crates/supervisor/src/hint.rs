//! What an instance that does not come up is probably doing wrong, from what it said last.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use crate::instance::Address;

/// For a process that runs and never gets ready. What it prints counts if the kernel knows of no listener: it may have started one elsewhere.
pub(crate) fn never_ready(address: &Address, listens: &BTreeSet<SocketAddr>, last_lines: &[String]) -> String {
    if let Some(hint) = listens_elsewhere(address, listens) {
        return hint;
    }
    let longer = "if it only needs longer, raise the startup timeout";
    let Address::Tcp(given) = address else { return format!("{}; {longer}", listen_here(address)) };
    let said = last_lines.iter().rev().find_map(|line| port_in_url(line)).filter(|port| *port != given.port());
    match said {
        _ if !listens.is_empty() => format!("it listens on {given} as it must, but does not answer the probe with 2xx; {longer}"),
        Some(port) => format!("it says that it listens on port {port}, but {}", listen_here(address)),
        None => format!("{}; {longer}", listen_here(address)),
    }
}

/// For a process that listens, but not where it can be reached.
pub(crate) fn listens_elsewhere(address: &Address, listens: &BTreeSet<SocketAddr>) -> Option<String> {
    let serves = |address: &SocketAddr| {
        let reaches =
            |listens: &SocketAddr| listens.port() == address.port() && (listens.ip() == address.ip() || listens.ip().is_unspecified());
        listens.iter().any(reaches)
    };
    if listens.is_empty() || matches!(address, Address::Tcp(address) if serves(address)) {
        return None;
    }
    let shown: Vec<_> = listens.iter().take(SHOWN_MAX).map(SocketAddr::to_string).collect();
    Some(format!("it listens on {}, but {}", shown.join(" and "), listen_here(address)))
}

/// A server that has more listeners than this shows the pattern with these.
const SHOWN_MAX: usize = 3;

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
        let never_ready = |address: &Address, lines: &[String]| never_ready(address, &BTreeSet::new(), lines);
        let uvicorn = lines(&["INFO:     Uvicorn running on http://127.0.0.1:8000 (Press CTRL+C to quit)"]);
        assert!(never_ready(&tcp(), &uvicorn).starts_with("it says that it listens on port 8000, but it must listen on 127.0.0.1:$PORT"));
        let right = lines(&["listening at http://localhost:4000/\u{1b}[0m"]);
        assert!(never_ready(&tcp(), &right).contains("raise the startup timeout"));
        assert!(never_ready(&Address::Unix("/run/a.sock".into()), &uvicorn).contains("/run/a.sock"));
    }

    #[test]
    fn what_the_kernel_knows_counts_for_more_than_what_is_printed() {
        let at = |address: &str| BTreeSet::from([address.parse().unwrap()]);
        let printed = lines(&["running on http://127.0.0.1:8000"]);
        let hint = never_ready(&tcp(), &at("0.0.0.0:3000"), &printed);
        assert!(hint.starts_with("it listens on 0.0.0.0:3000, but it must listen on 127.0.0.1:$PORT"), "{hint}");
        for right in ["127.0.0.1:4000", "0.0.0.0:4000", "[::]:4000"] {
            assert_eq!(listens_elsewhere(&tcp(), &at(right)), None, "{right}");
            assert!(never_ready(&tcp(), &at(right), &printed).contains("does not answer the probe"), "{right}");
        }
        assert!(listens_elsewhere(&tcp(), &at("[::1]:4000")).unwrap().contains("on [::1]:4000, but"), "the right port of the wrong host");
        assert!(listens_elsewhere(&Address::Unix("/run/a.sock".into()), &at("127.0.0.1:4000")).unwrap().contains("/run/a.sock"));
        assert_eq!(listens_elsewhere(&tcp(), &BTreeSet::new()), None, "it may only need longer");
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
