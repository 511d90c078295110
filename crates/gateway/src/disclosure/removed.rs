//! Fields of answers that no client gets.

use http::HeaderName;

/// Names of fields to leave out of answers.
#[derive(Clone, Debug, Default)]
pub struct Removed {
    names: Box<[HeaderName]>,
    /// A bit for each length that occurs, so that most fields cost no comparison.
    lengths: u64,
}

impl Removed {
    pub fn new(names: Vec<HeaderName>) -> Self {
        let lengths = names.iter().fold(0, |lengths, name| lengths | bit(name.as_str().len()));
        Self { names: names.into(), lengths }
    }

    pub(crate) fn contains(&self, name: &[u8]) -> bool {
        self.lengths & bit(name.len()) != 0 && self.names.iter().any(|each| each.as_str().as_bytes().eq_ignore_ascii_case(name))
    }
}

fn bit(length: usize) -> u64 {
    1 << length.min(63)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_whatever_their_case_and_length() {
        let long = "x-".to_owned() + &"a".repeat(80);
        let removed = Removed::new(["server", "x-powered-by", long.as_str()].map(|name| name.parse().unwrap()).to_vec());
        for name in ["Server", "SERVER", "X-Powered-By", long.as_str()] {
            assert!(removed.contains(name.as_bytes()), "{name}");
        }
        for name in ["", "serve", "cookie", "content-type", "server-timing", &long[1..], &(long.clone() + "a")] {
            assert!(!removed.contains(name.as_bytes()), "{name}");
        }
        assert!(!Removed::default().contains(b"server"));
    }
}
