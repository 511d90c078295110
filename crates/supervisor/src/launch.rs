//! A checked spec, and one start made concrete: which address, which arguments, which environment.

use std::ffi::{OsStr, OsString};
use std::io;

use crate::address::Addresses;
use crate::error::Error;
use crate::instance::Address;
use crate::placeholder::{self, PORT, SOCKET};
use crate::spec::Spec;
use crate::{command, environment};

/// Everything a process is given.
#[derive(Debug)]
pub(crate) struct Launch {
    pub command: Vec<OsString>,
    pub environment: Vec<(OsString, OsString)>,
}

/// A spec that was checked.
#[derive(Debug)]
pub(crate) struct Launcher {
    spec: Spec,
    addresses: Addresses,
}

impl Launcher {
    /// Finds the mistakes that no restart would cure.
    pub(crate) fn new(spec: Spec) -> Result<Self, Error> {
        if spec.instances == 0 {
            return Err(Error::NoInstances);
        }
        if let Some(dir) = &spec.working_dir {
            std::fs::read_dir(dir).map_err(|source| Error::WorkingDir { path: dir.clone(), source })?;
        }
        let last_id = spec.instance_id(spec.instances as usize - 1);
        let addresses = match (occurs(&spec, PORT), occurs(&spec, SOCKET)) {
            (true, true) => return Err(Error::BothPlaceholders),
            (false, true) => Addresses::sockets(&spec.socket_dir, &last_id)?,
            _ => Addresses::Ports,
        };
        let launcher = Self { spec, addresses };
        let first_id = launcher.spec.instance_id(0);
        let address = launcher.address(&first_id, 1, &[]).map_err(Error::NoPort)?;
        let first = launcher.launch(&first_id, &address);
        let program = first.command.first().ok_or(Error::NoCommand)?;
        command::check(program, &first.environment, launcher.spec.working_dir.as_deref())?;
        Ok(launcher)
    }

    pub(crate) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// An address for one start, that none of the other instances was promised.
    pub(crate) fn address(&self, id: &str, generation: u64, promised: &[Address]) -> io::Result<Address> {
        self.addresses.choose(id, generation, promised)
    }

    pub(crate) fn launch(&self, id: &str, address: &Address) -> Launch {
        let command = self.spec.command.iter().map(|argument| placeholder::fill(argument, id, address)).collect();
        Launch { command, environment: environment::of(&self.spec, id, address) }
    }
}

fn occurs(spec: &Spec, placeholder: &str) -> bool {
    let arguments = spec.command.iter().map(OsString::as_os_str);
    let values = spec.env.iter().map(|(_, value)| OsStr::new(value));
    arguments.chain(values).any(|text| placeholder::occurs(placeholder, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(command: &[&str]) -> Spec {
        let mut spec = Spec::new("/bin/true".into(), "/nowhere".into(), command.iter().map(OsString::from).collect());
        spec.inherited = vec![("PATH".into(), "/bin:/usr/bin".into())];
        spec
    }

    #[test]
    fn a_command_that_takes_neither_placeholder_gets_a_port() {
        let address = Launcher::new(spec(&["sh", "-c", "true"])).unwrap().address("api-1", 1, &[]).unwrap();
        assert!(matches!(address, Address::Tcp(_)));
    }

    #[test]
    fn a_socket_may_be_asked_for_in_a_variable() {
        let dir = tempfile::tempdir().unwrap();
        let mut spec = spec(&["sh"]);
        spec.socket_dir = dir.path().into();
        spec.env = vec![("LISTEN".into(), "unix:{socket}".into())];
        let address = Launcher::new(spec).unwrap().address("api-1", 3, &[]).unwrap();
        assert_eq!(address, Address::Unix(dir.path().join("api-1-3.sock")));
    }

    #[test]
    fn mistakes_are_found_before_anything_starts() {
        let error = |spec| Launcher::new(spec).unwrap_err();
        assert!(matches!(error(spec(&[])), Error::NoCommand));
        assert!(matches!(error(spec(&["sh", "{port}", "{socket}"])), Error::BothPlaceholders));
        assert!(matches!(error(spec(&["uvicron"])), Error::CommandNotFound { .. }));
        assert!(matches!(error(Spec { instances: 0, ..spec(&["sh"]) }), Error::NoInstances));
        assert!(matches!(error(Spec { working_dir: Some("/nowhere".into()), ..spec(&["sh"]) }), Error::WorkingDir { .. }));
    }
}
