//! The Lua scripts: whatever takes more than one command runs inside Redis, so it is atomic and one round trip.

use std::sync::LazyLock;

use redis::{Cmd, Script as Hashed, ToRedisArgs};

/// A script and the hash under which Redis keeps it.
pub(super) struct Script {
    source: &'static str,
    hash: String,
}

impl Script {
    fn new(source: &'static str) -> Self {
        Self { source, hash: Hashed::new(source).get_hash().to_owned() }
    }

    /// The call by hash: what nearly always works.
    pub(super) fn by_hash(&self, keys: &[String], arguments: &[&dyn Argument]) -> Cmd {
        Self::command("EVALSHA", &self.hash, keys, arguments)
    }

    /// The call that also teaches the script to a server that does not know it yet.
    pub(super) fn by_source(&self, keys: &[String], arguments: &[&dyn Argument]) -> Cmd {
        Self::command("EVAL", self.source, keys, arguments)
    }

    fn command(name: &str, script: &str, keys: &[String], arguments: &[&dyn Argument]) -> Cmd {
        let mut command = redis::cmd(name);
        command.arg(script).arg(keys.len()).arg(keys);
        for argument in arguments {
            argument.add_to(&mut command);
        }
        command
    }
}

/// Anything that goes into a command; scripts take a mixture.
pub(super) trait Argument: Sync {
    fn add_to(&self, command: &mut Cmd);
}

impl<T: ToRedisArgs + Sync> Argument for T {
    fn add_to(&self, command: &mut Cmd) {
        command.arg(self);
    }
}

macro_rules! scripts {
    ($($name:ident = $file:literal;)*) => {
        $( pub(super) static $name: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!(concat!("scripts/", $file)))); )*
    };
}

scripts! {
    GET = "get.lua";
    COMPARE_AND_SET = "compare_and_set.lua";
    INCREMENT = "increment.lua";
    LIST_PUSH = "list_push.lua";
    TAKE_TOKENS = "take_tokens.lua";
    LOCK = "lock.lua";
    RENEW = "renew.lua";
    UNLOCK = "unlock.lua";
}
