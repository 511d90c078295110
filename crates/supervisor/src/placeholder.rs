//! `{port}`, `{socket}` and `{instance}` in arguments and in values of variables. Any other brace is the command's own.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use crate::instance::Address;

pub(crate) const PORT: &str = "{port}";
pub(crate) const SOCKET: &str = "{socket}";
pub(crate) const INSTANCE: &str = "{instance}";

pub(crate) fn occurs(placeholder: &str, text: &OsStr) -> bool {
    find(text.as_bytes(), placeholder.as_bytes()).is_some()
}

pub(crate) fn fill(text: &OsStr, instance: &str, address: &Address) -> OsString {
    let text = replace(text.as_bytes(), INSTANCE, instance.as_bytes());
    let text = match address {
        Address::Tcp(address) => replace(&text, PORT, address.port().to_string().as_bytes()),
        Address::Unix(path) => replace(&text, SOCKET, path.as_os_str().as_bytes()),
    };
    OsString::from_vec(text)
}

fn replace(mut text: &[u8], placeholder: &str, value: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len() + value.len());
    while let Some(at) = find(text, placeholder.as_bytes()) {
        replaced.extend_from_slice(&text[..at]);
        replaced.extend_from_slice(value);
        text = &text[at + placeholder.len()..];
    }
    replaced.extend_from_slice(text);
    replaced
}

fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str, address: &Address) -> String {
        fill(OsStr::new(text), "api-2", address).into_string().unwrap()
    }

    #[test]
    fn fills_anywhere_and_more_than_once() {
        let tcp = Address::Tcp(([127, 0, 0, 1], 4000).into());
        assert_eq!(filled("--bind=127.0.0.1:{port}", &tcp), "--bind=127.0.0.1:4000");
        assert_eq!(filled("{instance}-{port}-{port}", &tcp), "api-2-4000-4000");
        assert_eq!(filled("--uds={socket}", &Address::Unix("/run/a.sock".into())), "--uds=/run/a.sock");
    }

    #[test]
    fn leaves_other_braces_alone() {
        let tcp = Address::Tcp(([127, 0, 0, 1], 4000).into());
        assert_eq!(filled("{\"a\": {b}} ${PORT}", &tcp), "{\"a\": {b}} ${PORT}");
    }

    #[test]
    fn keeps_bytes_that_are_not_utf8() {
        let tcp = Address::Tcp(([127, 0, 0, 1], 4000).into());
        let odd = OsString::from_vec(b"\xff{port}".to_vec());
        assert_eq!(fill(&odd, "api-1", &tcp).into_vec(), b"\xff4000");
    }
}
