//! The variables a child is given.
//!
//! | variable | value | who reads it |
//! |---|---|---|
//! | `PLIMSOLL_INSTANCE` | `api-1` | the app, for its logs |
//! | `PLIMSOLL_VERSION` | the version being run, if one was named | the app |
//! | `PYTHONUNBUFFERED` | `1`, unless set | Python: lines appear when they are printed |
//! | `PORT` | the port | most servers outside Python |
//! | `UVICORN_HOST` `UVICORN_PORT` | loopback, the port | uvicorn |
//! | `GRANIAN_HOST` `GRANIAN_PORT` | loopback, the port | granian |
//! | `FLASK_RUN_HOST` `FLASK_RUN_PORT` | loopback, the port | `flask run` |
//! | `GUNICORN_CMD_ARGS` | what was there, then `--bind 127.0.0.1:PORT` | gunicorn |
//! | `PLIMSOLL_SOCKET` | the path, in place of all variables with a port | the app, when the command takes `{socket}` |
//!
//! Addresses win over inherited and configured variables: two instances with one fixed port cannot both run. With `{socket}` no
//! server-specific variable is set, because the placeholder already stands where the server takes its path.

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;

use crate::instance::Address;
use crate::placeholder;
use crate::spec::Spec;

const GUNICORN_ARGUMENTS: &str = "GUNICORN_CMD_ARGS";
const PYTHON_UNBUFFERED: &str = "PYTHONUNBUFFERED";

/// The whole environment of one child, nothing else is inherited.
pub(crate) fn of(spec: &Spec, instance: &str, address: &Address) -> Vec<(OsString, OsString)> {
    let mut variables = Variables(spec.inherited.clone());
    for (name, value) in &spec.env {
        variables.set(name, placeholder::fill(OsStr::new(value), instance, address));
    }
    variables.set("PLIMSOLL_INSTANCE", instance);
    if let Some(version) = &spec.version {
        variables.set("PLIMSOLL_VERSION", version);
    }
    if variables.get(PYTHON_UNBUFFERED).is_none() {
        variables.set(PYTHON_UNBUFFERED, "1");
    }
    match address {
        Address::Tcp(address) => variables.set_port(*address),
        Address::Unix(path) => variables.set("PLIMSOLL_SOCKET", path),
    }
    variables.0
}

struct Variables(Vec<(OsString, OsString)>);

impl Variables {
    fn get(&self, name: &str) -> Option<&OsStr> {
        self.0.iter().find(|(existing, _)| existing == name).map(|(_, value)| value.as_os_str())
    }

    fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.0.retain(|(existing, _)| existing != name);
        self.0.push((name.into(), value.into()));
    }

    fn set_port(&mut self, address: SocketAddr) {
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        self.set("PORT", &port);
        for server in ["UVICORN", "GRANIAN", "FLASK_RUN"] {
            self.set(&format!("{server}_HOST"), &host);
            self.set(&format!("{server}_PORT"), &port);
        }
        let mut arguments = self.get(GUNICORN_ARGUMENTS).map(OsStr::to_owned).unwrap_or_default();
        if !arguments.is_empty() {
            arguments.push(" ");
        }
        arguments.push(format!("--bind {address}"));
        self.set(GUNICORN_ARGUMENTS, arguments);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(inherited: &[(&str, &str)], env: &[(&str, &str)], address: &Address) -> Vec<(String, String)> {
        let mut spec = Spec::new("/bin/plimsoll".into(), "/run".into(), vec!["server".into()]);
        spec.inherited = inherited.iter().map(|(name, value)| (name.into(), value.into())).collect();
        spec.env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        spec.version = Some("v2".to_owned());
        let mut variables: Vec<_> = of(&spec, "api-1", address)
            .into_iter()
            .map(|(name, value)| (name.into_string().unwrap(), value.into_string().unwrap()))
            .collect();
        variables.sort();
        variables
    }

    fn value<'a>(variables: &'a [(String, String)], name: &str) -> Option<&'a str> {
        let mut values = variables.iter().filter(|(existing, _)| existing == name);
        let value = values.next().map(|(_, value)| value.as_str());
        assert!(values.next().is_none(), "{name} is set twice");
        value
    }

    fn port(port: u16) -> Address {
        Address::Tcp(([127, 0, 0, 1], port).into())
    }

    #[test]
    fn the_whole_table_for_a_port() {
        let expected = [
            ("FLASK_RUN_HOST", "127.0.0.1"),
            ("FLASK_RUN_PORT", "4000"),
            ("GRANIAN_HOST", "127.0.0.1"),
            ("GRANIAN_PORT", "4000"),
            ("GUNICORN_CMD_ARGS", "--bind 127.0.0.1:4000"),
            ("PLIMSOLL_INSTANCE", "api-1"),
            ("PLIMSOLL_VERSION", "v2"),
            ("PORT", "4000"),
            ("PYTHONUNBUFFERED", "1"),
            ("UVICORN_HOST", "127.0.0.1"),
            ("UVICORN_PORT", "4000"),
        ];
        assert_eq!(environment(&[], &[], &port(4000)), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_socket_brings_no_port() {
        let variables = environment(&[], &[("ADMIN", "{socket}.admin")], &Address::Unix("/run/api-1.sock".into()));
        let names: Vec<_> = variables.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["ADMIN", "PLIMSOLL_INSTANCE", "PLIMSOLL_SOCKET", "PLIMSOLL_VERSION", "PYTHONUNBUFFERED"]);
        assert_eq!(value(&variables, "ADMIN"), Some("/run/api-1.sock.admin"));
    }

    #[test]
    fn gunicorn_keeps_its_arguments() {
        let inherited = environment(&[("GUNICORN_CMD_ARGS", "--threads 4")], &[], &port(4000));
        assert_eq!(value(&inherited, "GUNICORN_CMD_ARGS"), Some("--threads 4 --bind 127.0.0.1:4000"));
        let both = environment(&[("GUNICORN_CMD_ARGS", "--threads 4")], &[("GUNICORN_CMD_ARGS", "--threads 8")], &port(4000));
        assert_eq!(value(&both, "GUNICORN_CMD_ARGS"), Some("--threads 8 --bind 127.0.0.1:4000"));
    }

    #[test]
    fn addresses_win_and_the_rest_is_the_users() {
        let inherited = [("PORT", "80"), ("PATH", "/bin"), ("PYTHONUNBUFFERED", "0")];
        let variables = environment(&inherited, &[("PORT", "81"), ("ME", "{instance}:{port}")], &port(4000));
        assert_eq!(value(&variables, "PORT"), Some("4000"));
        assert_eq!(value(&variables, "PATH"), Some("/bin"));
        assert_eq!(value(&variables, "PYTHONUNBUFFERED"), Some("0"));
        assert_eq!(value(&variables, "ME"), Some("api-1:4000"));
    }
}
