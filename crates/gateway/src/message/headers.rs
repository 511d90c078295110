//! Header fields as one block of bytes and a list of where each begins: no map, no allocation per field.
//!
//! A request has about ten fields and is asked for about ten names; comparing lengths and bytes in line is cheaper than hashing.

use bytes::{Bytes, BytesMut};

#[derive(Clone, Copy, Debug)]
struct Field {
    name: (u32, u32),
    value: (u32, u32),
}

/// Fields in the order they came, names in their original case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Headers {
    /// What was parsed, kept as it arrived.
    block: Bytes,
    /// Fields added by us, after the block.
    added: BytesMut,
    fields: Vec<Field>,
}

impl Headers {
    /// Takes parsed fields; every slice of `fields` must lie within `block`.
    pub(crate) fn parsed(block: Bytes, fields: &[httparse::Header<'_>]) -> Self {
        let base = block.as_ptr() as usize;
        let range = |part: &[u8]| {
            let start = part.as_ptr() as usize - base;
            (start as u32, (start + part.len()) as u32)
        };
        let fields = fields.iter().map(|field| Field { name: range(field.name.as_bytes()), value: range(field.value) }).collect();
        Self { block, added: BytesMut::new(), fields }
    }

    pub(crate) fn push(&mut self, name: &[u8], value: &[u8]) {
        let start = self.block.len() + self.added.len();
        self.added.extend_from_slice(name);
        self.added.extend_from_slice(value);
        let middle = (start + name.len()) as u32;
        self.fields.push(Field { name: (start as u32, middle), value: (middle, middle + value.len() as u32) });
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> {
        self.fields.iter().map(|field| (self.slice(field.name), self.slice(field.value)))
    }

    /// The values of every field of this name, in order.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a [u8]> {
        self.iter().filter(move |(each, _)| each.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    pub(crate) fn first<'a>(&'a self, name: &'a str) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    /// Whether a comma-separated field holds this token.
    pub(crate) fn has_token(&self, name: &str, token: &str) -> bool {
        self.all(name).flat_map(tokens).any(|each| each.eq_ignore_ascii_case(token.as_bytes()))
    }

    fn slice(&self, (start, end): (u32, u32)) -> &[u8] {
        let (start, end) = (start as usize, end as usize);
        let block = self.block.len();
        if start >= block { &self.added[start - block..end - block] } else { &self.block[start..end] }
    }
}

/// The members of a comma-separated field value.
pub(crate) fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

/// Which fields end at this hop (RFC 9110, section 7.6.1): the known ones, and those that `Connection` names.
pub(crate) struct HopByHop<'a> {
    named: Vec<&'a [u8]>,
}

impl<'a> HopByHop<'a> {
    pub(crate) fn of(headers: &'a Headers) -> Self {
        let ordinary =
            |token: &&[u8]| !matches!(token.len(), 5 if token.eq_ignore_ascii_case(b"close")) && !token.eq_ignore_ascii_case(b"keep-alive");
        Self { named: headers.all("connection").flat_map(tokens).filter(ordinary).collect() }
    }

    pub(crate) fn contains(&self, name: &[u8]) -> bool {
        // The length decides almost always, so a field that stays costs one comparison.
        let known = match name.len() {
            2 => name.eq_ignore_ascii_case(b"te"),
            7 => name.eq_ignore_ascii_case(b"upgrade"),
            10 => name.eq_ignore_ascii_case(b"connection") || name.eq_ignore_ascii_case(b"keep-alive"),
            16 => name.eq_ignore_ascii_case(b"proxy-connection"),
            17 => name.eq_ignore_ascii_case(b"transfer-encoding"),
            _ => false,
        };
        known || self.named.iter().any(|named| named.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_fields_whatever_their_case_and_origin() {
        let block = Bytes::from_static(b"Host: a\r\nConnection: close, X-Secret\r\n\r\n");
        let mut fields = [httparse::EMPTY_HEADER; 4];
        let httparse::Status::Complete((_, parsed)) = httparse::parse_headers(&block, &mut fields).unwrap() else { panic!() };
        let mut headers = Headers::parsed(block.clone(), parsed);
        headers.push(b"x-added", b"1");
        assert_eq!(headers.first("host"), Some(&b"a"[..]));
        assert_eq!(headers.first("X-Added"), Some(&b"1"[..]));
        assert!(headers.has_token("connection", "Close"));
        let hop = HopByHop::of(&headers);
        assert!(hop.contains(b"x-secret") && hop.contains(b"Transfer-Encoding") && !hop.contains(b"host"));
    }
}
