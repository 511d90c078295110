//! Answers counted by their status, with what the poor ones said.

use serde::{Deserialize, Serialize};

use crate::send::sample::Sample;

/// How much of a body is kept.
const EXCERPT_BYTES_MAX: usize = 200;

/// All answers of one status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusRecord {
    pub status: u16,
    pub count: u64,
    /// The `type` of the problem (RFC 9457) that the first of them described. Only of refusals and errors, as the excerpt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// How its body began, in one line. It comes from outside: escape it before it is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excerpt: Option<String>,
}

impl StatusRecord {
    /// Below 200 and from 400 on: no good answer.
    pub fn is_poor(&self) -> bool {
        !(200..400).contains(&self.status)
    }

    fn merge(&mut self, other: Self) {
        self.count += other.count;
        self.problem = self.problem.take().or(other.problem);
        self.excerpt = self.excerpt.take().or(other.excerpt);
    }
}

impl From<Sample> for StatusRecord {
    fn from(sample: Sample) -> Self {
        #[derive(Deserialize)]
        struct Problem {
            r#type: String,
        }
        let problem = sample.is_problem.then(|| serde_json::from_slice::<Problem>(&sample.body).ok()).flatten();
        let words = String::from_utf8_lossy(&sample.body).split_whitespace().collect::<Vec<_>>().join(" ");
        let excerpt = Some(words).filter(|words| !words.is_empty()).map(|words| cut(&words));
        Self { status: sample.status, count: 0, problem: problem.map(|problem| cut(&problem.r#type)), excerpt }
    }
}

fn cut(text: &str) -> String {
    if text.len() <= EXCERPT_BYTES_MAX {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(EXCERPT_BYTES_MAX)])
}

/// Adds what another saw of the same load; both are in the order of their statuses.
pub fn merge(all: &mut Vec<StatusRecord>, more: impl IntoIterator<Item = StatusRecord>) {
    for record in more {
        match all.binary_search_by_key(&record.status, |known| known.status) {
            Ok(at) => all[at].merge(record),
            Err(at) => all.insert(at, record),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(content_type: &str, body: &[u8]) -> StatusRecord {
        let mut sample = Sample::new(503, Some(content_type.as_bytes()));
        body.chunks(7).for_each(|piece| sample.add(piece));
        sample.into()
    }

    #[test]
    fn a_problem_has_a_type_and_another_body_only_an_excerpt() {
        let body = br#"{"type": "urn:x:overloaded",  "title":"no"}"#;
        let problem = read("Application/Problem+JSON; charset=utf-8", body);
        assert_eq!(problem.problem.as_deref(), Some("urn:x:overloaded"));
        assert_eq!(read("application/json", body).problem, None);
        assert_eq!(read("text/plain", b"one\r\n\ttwo ").excerpt.as_deref(), Some("one two"));
        assert_eq!(read("text/plain", b" \n").excerpt, None);
    }

    #[test]
    fn an_excerpt_is_short_whatever_comes() {
        for body in ["ü".repeat(100_000).into_bytes(), vec![0xff; 100_000]] {
            let excerpt = read("text/plain", &body).excerpt.unwrap();
            assert!(excerpt.len() <= EXCERPT_BYTES_MAX + '…'.len_utf8(), "{} bytes", excerpt.len());
        }
    }

    #[test]
    fn counts_add_up_and_the_first_excerpt_stays() {
        let record = |status, count, excerpt: Option<&str>| StatusRecord { status, count, excerpt: excerpt.map(Into::into), problem: None };
        let mut all = vec![record(200, 5, None), record(503, 1, Some("a"))];
        merge(&mut all, [record(404, 2, None), record(503, 3, Some("b"))]);
        assert_eq!(all, [record(200, 5, None), record(404, 2, None), record(503, 4, Some("a"))]);
    }
}
