//! Header fields as one block of bytes and a list of where each begins: no map, no allocation per field.

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use super::Name;
use crate::disclosure::Removed;

#[derive(Clone, Copy, Debug)]
struct Field {
    known: Name,
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
    /// A bit for each known name that occurs, so that asking for one that does not costs nothing.
    present: u32,
}

impl Headers {
    /// Takes parsed fields; every slice of `fields` must lie within `block`.
    pub(crate) fn parsed(block: Bytes, fields: &[httparse::Header<'_>]) -> Self {
        let base = block.as_ptr() as usize;
        let range = |part: &[u8]| {
            let start = part.as_ptr() as usize - base;
            (start as u32, (start + part.len()) as u32)
        };
        let field = |field: &httparse::Header<'_>| {
            let name = field.name.as_bytes();
            Field { known: Name::of(name), name: range(name), value: range(field.value) }
        };
        let fields: Vec<_> = fields.iter().map(field).collect();
        let present = fields.iter().fold(0, |present, field| present | 1 << field.known as u32);
        Self { block, added: BytesMut::new(), fields, present }
    }

    pub(crate) fn push(&mut self, name: &[u8], value: &[u8]) {
        let start = self.block.len() + self.added.len();
        self.added.extend_from_slice(name);
        self.added.extend_from_slice(value);
        let middle = (start + name.len()) as u32;
        let known = Name::of(name);
        self.present |= 1 << known as u32;
        self.fields.push(Field { known, name: (start as u32, middle), value: (middle, middle + value.len() as u32) });
    }

    /// Keeps the fields that `keep` wants.
    pub(crate) fn retain(&mut self, keep: impl Fn(Name, &[u8]) -> bool) {
        let mut fields = std::mem::take(&mut self.fields);
        fields.retain(|field| keep(field.known, self.slice(field.name)));
        self.present = fields.iter().fold(0, |present, field| present | 1 << field.known as u32);
        self.fields = fields;
    }

    /// Leaves out what no client gets. `present` may then say too much, which costs a look and nothing else.
    pub(crate) fn remove(&mut self, removed: &Removed) {
        let Self { block, added, fields, .. } = self;
        fields.retain(|field| !removed.contains(slice(block, added, field.name)));
    }

    /// Drops `Connection` and the fields that it names: they end at this hop, and what is put in from now on cannot be meant.
    pub(crate) fn end_hop(&mut self) {
        if self.first(Name::Connection).is_none() {
            return;
        }
        let named: Vec<Vec<u8>> = self.named_by_connection().map(<[u8]>::to_vec).collect();
        self.retain(|known, name| known != Name::Connection && !named.iter().any(|named| named.eq_ignore_ascii_case(name)));
    }

    fn named_by_connection(&self) -> impl Iterator<Item = &[u8]> {
        self.all(Name::Connection).flat_map(tokens).filter(|token| Name::of(token) == Name::Other).filter(is_field)
    }

    /// About as many bytes as all fields take when written.
    pub(crate) fn bytes_written(&self) -> usize {
        self.block.len() + self.added.len() + 4 * self.fields.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.fields.len()
    }

    /// A value to keep. Of what was parsed nothing is copied.
    pub(crate) fn share(&self, value: &[u8]) -> Bytes {
        if self.block.as_ptr_range().contains(&value.as_ptr()) { self.block.slice_ref(value) } else { Bytes::copy_from_slice(value) }
    }

    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = (Name, &[u8], &[u8])> {
        self.fields.iter().map(|field| (field.known, self.slice(field.name), self.slice(field.value)))
    }

    /// The fields that are for the next hop too: neither of a known hop-by-hop name nor named by `Connection`.
    pub(crate) fn end_to_end(&self) -> impl Iterator<Item = (Name, &[u8], &[u8])> {
        let named: Vec<_> = self.named_by_connection().collect();
        self.iter().filter(move |(known, name, _)| !known.is_hop_by_hop() && !named.iter().any(|named| named.eq_ignore_ascii_case(name)))
    }

    /// Appends the end-to-end fields whose name `keep` wants. Neighbours that came as they are written are copied in one piece.
    pub(crate) fn write(&self, out: &mut Vec<u8>, keep: impl Fn(Name) -> bool) {
        let named: Vec<_> = self.named_by_connection().collect();
        let mut piece = 0..0;
        for field in &self.fields {
            let is_named = || named.iter().any(|named| named.eq_ignore_ascii_case(self.slice(field.name)));
            if field.known.is_hop_by_hop() || !keep(field.known) || is_named() {
                continue;
            }
            let line = self.line(field);
            if !line.is_empty() && line.start == piece.end {
                piece.end = line.end;
                continue;
            }
            out.extend_from_slice(&self.block[piece]);
            if line.is_empty() {
                for part in [self.slice(field.name), b": ", self.slice(field.value), b"\r\n"] {
                    out.extend_from_slice(part);
                }
            }
            piece = line;
        }
        out.extend_from_slice(&self.block[piece]);
    }

    /// Where a field stands in what was parsed, from its name to the end of its line; nowhere if it would be written differently.
    fn line(&self, field: &Field) -> Range<usize> {
        let [name, middle, value, end] = [field.name.0, field.name.1, field.value.0, field.value.1].map(|place| place as usize);
        let is_as_written = self.block.get(middle..value) == Some(b": ") && self.block.get(end..end + 2) == Some(b"\r\n");
        if is_as_written { name..end + 2 } else { 0..0 }
    }

    /// The values of every field of this name, in order.
    pub(crate) fn all(&self, name: Name) -> impl DoubleEndedIterator<Item = &[u8]> {
        let fields = if self.present & (1 << name as u32) == 0 { &[] } else { self.fields.as_slice() };
        fields.iter().filter(move |field| field.known == name).map(|field| self.slice(field.value))
    }

    pub(crate) fn first(&self, name: Name) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// For names that an operator chose.
    pub(crate) fn first_named(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(_, each, _)| each.eq_ignore_ascii_case(name.as_bytes())).map(|(_, _, value)| value)
    }

    /// The values of every field of a name, in order.
    pub(crate) fn all_named<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(_, each, _)| each.eq_ignore_ascii_case(name.as_bytes())).map(|(_, _, value)| value)
    }

    /// Puts one field in the place of all that have its name.
    pub(crate) fn set(&mut self, name: &str, value: &[u8]) {
        self.retain(|_, each| !each.eq_ignore_ascii_case(name.as_bytes()));
        self.push(name.as_bytes(), value);
    }

    /// Whether a comma-separated field holds this token.
    pub(crate) fn has_token(&self, name: Name, token: &str) -> bool {
        self.all(name).flat_map(tokens).any(|each| each.eq_ignore_ascii_case(token.as_bytes()))
    }

    fn slice(&self, range: (u32, u32)) -> &[u8] {
        slice(&self.block, &self.added, range)
    }
}

/// What stands around a name and its value when they are written in a line.
pub(crate) const FIELD_EXTRA_BYTES: usize = b": \r\n".len();

/// Makes a block of fields that were not parsed from one, laid out as they will be written.
pub(crate) struct Composer {
    block: Vec<u8>,
    fields: Vec<Field>,
    present: u32,
}

impl Composer {
    pub(crate) fn with_room(bytes: usize, fields: usize) -> Self {
        Self { block: Vec::with_capacity(bytes), fields: Vec::with_capacity(fields), present: 0 }
    }

    pub(crate) fn push(&mut self, name: &[u8], value: &[u8]) {
        let place = |block: &Vec<u8>, part: &[u8]| (block.len() as u32, (block.len() + part.len()) as u32);
        let known = Name::of(name);
        let block = &mut self.block;
        let name_at = place(block, name);
        block.extend_from_slice(name);
        block.extend_from_slice(b": ");
        let value_at = place(block, value);
        block.extend_from_slice(value);
        block.extend_from_slice(b"\r\n");
        self.present |= 1 << known as u32;
        self.fields.push(Field { known, name: name_at, value: value_at });
    }

    pub(crate) fn into_headers(self) -> Headers {
        let Self { block, fields, present } = self;
        Headers { block: block.into(), added: BytesMut::new(), fields, present }
    }
}

fn slice<'a>(block: &'a [u8], added: &'a [u8], (start, end): (u32, u32)) -> &'a [u8] {
    let (start, end) = (start as usize, end as usize);
    if start >= block.len() { &added[start - block.len()..end - block.len()] } else { &block[start..end] }
}

/// The members of a comma-separated field value.
pub(crate) fn tokens(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|token| !token.is_empty())
}

/// `Connection: close` names no field.
fn is_field(token: &&[u8]) -> bool {
    !token.eq_ignore_ascii_case(b"close")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_fields_whatever_their_case_and_origin() {
        let block = Bytes::from_static(b"HOST: a\r\nConnection: close, X-Secret\r\nx-secret: 1\r\nTe: gzip\r\nX-Kept: 2\r\n\r\n");
        let mut fields = [httparse::EMPTY_HEADER; 8];
        let httparse::Status::Complete((_, parsed)) = httparse::parse_headers(&block, &mut fields).unwrap() else { panic!() };
        let mut headers = Headers::parsed(block.clone(), parsed);
        headers.push(b"Via", b"1.1 a");
        assert_eq!(headers.first(Name::Host), Some(&b"a"[..]));
        assert_eq!(headers.first(Name::Via), Some(&b"1.1 a"[..]));
        assert_eq!(headers.first(Name::Cookie), None);
        assert_eq!(headers.first_named("x-kept"), Some(&b"2"[..]));
        assert!(headers.has_token(Name::Connection, "Close"));
        let left: Vec<_> = headers.end_to_end().map(|(_, name, _)| name).collect();
        assert_eq!(left, [&b"HOST"[..], b"X-Kept", b"Via"]);
    }

    #[test]
    fn a_client_cannot_have_fields_removed_that_this_hop_needs() {
        let mut headers = Headers::default();
        headers.push(b"connection", b"host, content-length, cookie");
        headers.push(b"host", b"a");
        headers.push(b"cookie", b"b");
        assert_eq!(headers.end_to_end().count(), 2);
    }
    /// What `write` writes, and the same field by field.
    fn written(block: &'static [u8], added: &[(&str, &str)]) -> (String, String) {
        let block = Bytes::from_static(block);
        let mut fields = [httparse::EMPTY_HEADER; 16];
        let httparse::Status::Complete((_, parsed)) = httparse::parse_headers(&block, &mut fields).unwrap() else { panic!() };
        let mut headers = Headers::parsed(block.clone(), parsed);
        for (name, value) in added {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        let keep = |known| known != Name::Host;
        let mut out = Vec::new();
        headers.write(&mut out, keep);
        let kept = headers.end_to_end().filter(|(known, ..)| keep(*known));
        let one_by_one: Vec<&[u8]> = kept.flat_map(|(_, name, value)| [name, b": ", value, b"\r\n"]).collect();
        (String::from_utf8(out).unwrap(), String::from_utf8(one_by_one.concat()).unwrap())
    }

    #[test]
    fn fields_are_written_alike_in_pieces_and_one_by_one() {
        let blocks: [&[u8]; 8] = [
            b"\r\n",
            b"A: 1\r\nB: 2\r\nHost: a\r\nC: 3\r\nD: 4\r\n\r\n",
            b"Host: a\r\nA:1\r\nB:  2\r\nC: 3 \r\nD:\t4\r\nE: 5\r\n\r\n",
            b"Empty:\r\nEmpty: \r\nA: 1\r\n\r\n",
            b"Connection: A, te\r\nA: 1\r\nB: 2\r\na: 3\r\nTE: trailers\r\nC: 4\r\n\r\n",
            b"A: 1\r\nTransfer-Encoding: chunked\r\nB: 2\r\n\r\n",
            b"A: : \r\nB: a: b\r\n\r\n",
            b"Host: a\r\n\r\n",
        ];
        for block in blocks {
            for added in [&[][..], &[("X", "1"), ("Host", "b"), ("Y", "")]] {
                let (pieces, one_by_one) = written(block, added);
                assert_eq!(pieces, one_by_one, "{:?}", String::from_utf8_lossy(block));
            }
        }
        assert_eq!(written(blocks[1], &[("X", "1")]).0, "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nX: 1\r\n");
    }
}
