//! Whether a conditional request gets what it asks for (RFC 9110, section 13): what the client knows against what there is.
//!
//! Whoever serves a representation makes its [`Validators`], reads the request's [`Preconditions`] and asks, in this order, [`Preconditions::judge`] and,
//! before it grants a range, [`Preconditions::grants_range`]. Pure; reads the fields in one pass, and allocates only for lists of tags.
//!
//! ```
//! use http::Method;
//! use plimsoll_policy::conditional::{Judgement, Preconditions, Validators};
//!
//! let now = Validators { etag: Some(b"\"v2\""), last_modified: None };
//! let request = [(&b"if-none-match"[..], &b"\"v1\", W/\"v2\""[..])];
//! assert_eq!(Preconditions::read(request).judge(&Method::GET, &now), Judgement::NotModified);
//! assert_eq!(Preconditions::read(request).judge(&Method::PUT, &now), Judgement::Failed);
//! ```

mod tag;

#[cfg(test)]
mod tests;

use std::time::SystemTime;

use http::Method;

use tag::{Comparison, Tag, tags};

/// What tells the representation that there is from others before and after it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Validators<'a> {
    /// As it stands in `ETag`.
    pub etag: Option<&'a [u8]>,
    /// As it stands in `Last-Modified`, that is in whole seconds. Leave it out unless no other representation can have had the same: then it
    /// may decide about ranges.
    pub last_modified: Option<SystemTime>,
}

/// What becomes of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It is carried out.
    GoOn,
    /// The client has it already: 304.
    NotModified,
    /// The client is wrong about what there is: 412.
    Failed,
}

/// The conditions of a request, as it stated them.
#[derive(Clone, Debug, Default)]
pub struct Preconditions<'a> {
    /// The values of the fields that hold lists: one each, nearly always.
    matches: Vec<&'a [u8]>,
    none_matches: Vec<&'a [u8]>,
    modified_since: Option<&'a [u8]>,
    unmodified_since: Option<&'a [u8]>,
    range: Option<&'a [u8]>,
}

impl<'a> Preconditions<'a> {
    /// Reads them from all fields of a request, names in any case.
    pub fn read(fields: impl IntoIterator<Item = (&'a [u8], &'a [u8])>) -> Self {
        let mut these = Self::default();
        for (name, value) in fields {
            // All of them begin alike, and hardly anything else does.
            let Some((_, rest)) = name.split_at_checked(3).filter(|(start, _)| start.eq_ignore_ascii_case(b"if-")) else { continue };
            match () {
                () if rest.eq_ignore_ascii_case(b"match") => these.matches.push(value),
                () if rest.eq_ignore_ascii_case(b"none-match") => these.none_matches.push(value),
                () if rest.eq_ignore_ascii_case(b"modified-since") => these.modified_since = Some(value),
                () if rest.eq_ignore_ascii_case(b"unmodified-since") => these.unmodified_since = Some(value),
                () if rest.eq_ignore_ascii_case(b"range") => these.range = Some(value),
                () => {}
            }
        }
        these
    }

    /// Judges them in the order of section 13.2.2, for a representation that exists. Dates that cannot be read are ignored; tags that cannot be
    /// read match nothing.
    pub fn judge(&self, method: &Method, now: &Validators<'_>) -> Judgement {
        let is_safe_read = *method == Method::GET || *method == Method::HEAD;
        let is_still_there = if self.matches.is_empty() {
            let since = self.unmodified_since.and_then(date);
            since.zip(now.last_modified).is_none_or(|(since, modified)| modified <= since)
        } else {
            any_tag(&self.matches, now, Comparison::Strong)
        };
        if !is_still_there {
            return Judgement::Failed;
        }
        if !self.none_matches.is_empty() {
            return match any_tag(&self.none_matches, now, Comparison::Weak) {
                true if is_safe_read => Judgement::NotModified,
                true => Judgement::Failed,
                false => Judgement::GoOn,
            };
        }
        let since = self.modified_since.and_then(date).filter(|_| is_safe_read);
        if since.zip(now.last_modified).is_some_and(|(since, modified)| modified <= since) {
            Judgement::NotModified
        } else {
            Judgement::GoOn
        }
    }

    /// Whether a range may be granted: only if what the client has of the representation is of this very one (section 13.1.5).
    pub fn grants_range(&self, now: &Validators<'_>) -> bool {
        let Some(condition) = self.range else { return true };
        if let Some(date) = date(condition) {
            return now.last_modified == Some(date);
        }
        let known = Tag::whole(condition);
        known.zip(now.etag.and_then(Tag::whole)).is_some_and(|(known, now)| known.equals(&now, Comparison::Strong))
    }

    /// Whether the client has named the weak form of this tag as what it has.
    pub fn knows_weakened(&self, etag: &[u8]) -> bool {
        let Some(strong) = Tag::whole(etag).filter(|tag| !tag.is_weak) else { return false };
        self.none_matches.iter().flat_map(|value| tags(value)).any(|known| known.is_weak && known.equals(&strong, Comparison::Weak))
    }
}

/// Whether a list of tags, or `*`, holds the present one.
fn any_tag(values: &[&[u8]], now: &Validators<'_>, how: Comparison) -> bool {
    if values.iter().any(|value| value.trim_ascii() == b"*") {
        return true;
    }
    let Some(now) = now.etag.and_then(Tag::whole) else { return false };
    values.iter().flat_map(|value| tags(value)).any(|known| known.equals(&now, how))
}

fn date(value: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()
}
