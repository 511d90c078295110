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

const SCHEMES: [&str; 6] = ["memory", "sqlite", "redis", "redis+sentinel", "redis+cluster", "redis+unix"];

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
        let problem = match scheme {
            "memory" if !rest.is_empty() => Some(("memory takes nothing after the colon", "write \"memory:\"")),
            "sqlite" if rest.is_empty() => Some(("the path of the database is missing", "write \"sqlite:PATH\", or leave the URL empty")),
            "sqlite" if rest.contains(":memory:") => Some(("this database would not outlive its process", "write \"sqlite:PATH\"")),
            "rediss" => Some(("redis over TLS is not spoken yet", "use redis:// inside a trusted network, or put a TLS tunnel in between")),
            _ if scheme.starts_with("redis") && !rest.starts_with("//") => {
                Some(("two slashes are missing", "write \"redis://HOST:6379/0\""))
            }
            _ => None,
        };
        if let Some((message, hint)) = problem {
            return Err(raw.fault(message, hint));
        }
        if SCHEMES.contains(&scheme) {
            return Ok(url.to_owned());
        }
        let hint = suggest::closest(scheme, SCHEMES)
            .map_or_else(|| format!("write {}", self.accepts()), |near| format!("did you mean `{near}:`?"));
        Err(raw.fault("no backend speaks this scheme", hint))
    }

    fn print(&self, value: &String) -> String {
        quote(value)
    }

    /// Everything but the password.
    fn show(&self, value: &String) -> String {
        let masked = value.split_once("://").and_then(|(scheme, rest)| {
            let (credentials, place) = rest.rsplit_once('@')?;
            let user = credentials.split_once(':').map_or("", |(user, _)| user);
            Some(format!("{scheme}://{user}:(set)@{place}"))
        });
        quote(&masked.unwrap_or_else(|| value.clone()))
    }

    fn accepts(&self) -> String {
        "a URL that begins with memory:, sqlite:, redis://, redis+sentinel://, redis+cluster:// or redis+unix://".to_owned()
    }
}
