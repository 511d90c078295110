//! Values that must not reach a screen or a log.

use std::fmt;

use super::{Shape, quote};
use crate::config::raw::{Raw, Read};
use crate::config::suggest;

/// Text that prints as `(set)`.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The secret itself: only for those who use it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if self.0.is_empty() { "(empty)" } else { "(set)" })
    }
}

/// A secret of at least so many characters; perhaps empty, which switches something off.
pub struct SecretText {
    pub length_min: usize,
    pub may_be_empty: bool,
}

const LENGTH_MAX: usize = 1_024;

impl Shape for SecretText {
    type Value = Secret;
    const SECRET: bool = true;

    fn read(&self, raw: &Raw<'_>) -> Read<Secret> {
        let text = raw.string("a string")?;
        if text.is_empty() && self.may_be_empty {
            return Ok(Secret::default());
        }
        let length = text.chars().count();
        if length < self.length_min {
            let message = format!("{length} characters are too few to be a secret");
            return Err(raw.fault(message, format!("write at least {}, for example the output of `openssl rand -hex 32`", self.length_min)));
        }
        if text.len() > LENGTH_MAX || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let hint = format!("write at most {LENGTH_MAX} visible ASCII characters: no spaces, no line ends");
            return Err(raw.fault("this secret would not survive a header or a shell", hint));
        }
        Ok(Secret(text.to_owned()))
    }

    fn print(&self, value: &Secret) -> String {
        quote(value.expose())
    }

    fn show(&self, value: &Secret) -> String {
        quote(if value.is_empty() { "" } else { "(set)" })
    }

    fn accepts(&self) -> String {
        let empty = if self.may_be_empty { ", or nothing" } else { "" };
        format!("a secret of at least {} characters{empty}", self.length_min)
    }
}

/// Where shared state lives. It may carry a password, so faults never quote it.
pub struct StateUrl;

const SCHEMES: [&str; 7] = ["memory", "sqlite", "redis", "rediss", "redis+sentinel", "redis+cluster", "redis+unix"];

impl Shape for StateUrl {
    type Value = String;
    const SECRET: bool = true;

    fn read(&self, raw: &Raw<'_>) -> Read<String> {
        let url = raw.string("a string")?.trim();
        if url.is_empty() {
            return Ok(String::new());
        }
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err(raw.fault("this is not a URL", "write it as \"redis://HOST:6379/0\" or \"sqlite:PATH\""));
        };
        if !SCHEMES.contains(&scheme) {
            let schemes = || format!("write one of {}", SCHEMES.join(", "));
            let hint = suggest::closest(scheme, SCHEMES).map_or_else(schemes, |scheme| format!("did you mean `{scheme}:`?"));
            return Err(raw.fault("no backend speaks this scheme", hint));
        }
        if scheme.starts_with("redis") && !rest.starts_with("//") {
            return Err(raw.fault("two slashes are missing", format!("begin with `{scheme}://`")));
        }
        if scheme == "sqlite" && rest.is_empty() {
            return Err(
                raw.fault("the path of the database is missing", "write \"sqlite:PATH\", or leave the URL empty for the data directory")
            );
        }
        Ok(url.to_owned())
    }

    fn print(&self, value: &String) -> String {
        quote(value)
    }

    /// Everything but the password.
    fn show(&self, value: &String) -> String {
        let masked = value.split_once("://").and_then(|(scheme, rest)| {
            let (user, place) = rest.rsplit_once('@')?;
            let (name, _) = user.split_once(':')?;
            Some(format!("{scheme}://{name}:(set)@{place}"))
        });
        quote(&masked.unwrap_or_else(|| value.clone()))
    }

    fn accepts(&self) -> String {
        "a URL that begins with memory:, sqlite:, redis://, rediss://, redis+sentinel://, redis+cluster:// or redis+unix://".to_owned()
    }
}
