//! What one virtual user was given to show again.
//!
//! There is one server, so paths and domains are not told apart; a cookie lives until it is taken back or the run ends.

/// As browsers keep them, so that a server that sets a new name each time cannot fill the memory.
const COOKIES_MAX: usize = 50;
const COOKIE_BYTES_MAX: usize = 4096;

#[derive(Clone, Debug, Default)]
pub(crate) struct Jar(Vec<(Vec<u8>, Vec<u8>)>);

impl Jar {
    /// Keeps what the value of a `Set-Cookie` field says.
    pub(crate) fn store(&mut self, field: &[u8]) {
        if field.len() > COOKIE_BYTES_MAX {
            return;
        }
        let mut parts = field.split(|byte| *byte == b';');
        let pair = parts.next().unwrap_or_default();
        let Some(equals) = memchr::memchr(b'=', pair) else { return };
        let (name, value) = (pair[..equals].trim_ascii(), pair[equals + 1..].trim_ascii());
        if name.is_empty() {
            return;
        }
        let at = self.0.iter().position(|(known, _)| known == name);
        match (at, parts.any(takes_back)) {
            (Some(at), true) => drop(self.0.remove(at)),
            (Some(at), false) => self.0[at].1 = value.to_vec(),
            (None, false) if self.0.len() < COOKIES_MAX => self.0.push((name.to_vec(), value.to_vec())),
            (None, _) => {}
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes the value of a `Cookie` field.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for (index, (name, value)) in self.0.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b"; ");
            }
            out.extend_from_slice(name);
            out.push(b'=');
            out.extend_from_slice(value);
        }
    }
}

/// True for `Max-Age=0` and below, which is how a server takes a cookie back, and for the date in 1970 that says the same.
fn takes_back(attribute: &[u8]) -> bool {
    let Some(equals) = memchr::memchr(b'=', attribute) else { return false };
    let (name, value) = (attribute[..equals].trim_ascii(), attribute[equals + 1..].trim_ascii());
    if name.eq_ignore_ascii_case(b"max-age") {
        return value == b"0" || value.starts_with(b"-");
    }
    name.eq_ignore_ascii_case(b"expires") && memchr::memmem::find(value, b"1970").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(fields: &[&str]) -> String {
        let mut jar = Jar::default();
        for field in fields {
            jar.store(field.as_bytes());
        }
        let mut out = Vec::new();
        jar.write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn the_last_value_of_a_name_is_shown() {
        assert_eq!(shown(&["a=1; Path=/; HttpOnly", "b=2", "a=3"]), "a=3; b=2");
        assert_eq!(shown(&["a=x=y"]), "a=x=y");
    }

    #[test]
    fn what_is_taken_back_is_not_shown() {
        assert_eq!(shown(&["a=1", "b=2", "a=; Max-Age=0"]), "b=2");
        assert_eq!(shown(&["a=1", "a=gone; expires=Thu, 01 Jan 1970 00:00:00 GMT"]), "");
        assert_eq!(shown(&["a=; max-age=-1"]), "");
    }

    #[test]
    fn nonsense_and_floods_are_passed_over() {
        assert_eq!(shown(&["", "=1", "novalue"]), "");
        let many: Vec<String> = (0..COOKIES_MAX + 10).map(|index| format!("c{index}=1")).collect();
        let fields: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(shown(&fields).matches('=').count(), COOKIES_MAX);
        assert_eq!(shown(&[&format!("a={}", "x".repeat(COOKIE_BYTES_MAX))]), "");
    }
}
