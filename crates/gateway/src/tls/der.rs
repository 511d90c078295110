//! As much of DER as it takes to find something in a certificate. Total: what is no DER is `None`.

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OBJECT: u8 = 0x06;
/// `[0]`, constructed: the version of a certificate.
const VERSION: u8 = 0xa0;

/// What is left to be read.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// What the authority has signed, from the certificate's issuer on (RFC 5280, section 4.1).
    pub(super) fn from_issuer(certificate: &'a [u8]) -> Option<Self> {
        let mut certificate = Self(Self(certificate).expect(SEQUENCE)?);
        let mut signed = Self(certificate.expect(SEQUENCE)?);
        if signed.0.first() == Some(&VERSION) {
            signed.expect(VERSION)?;
        }
        signed.expect(INTEGER)?;
        // The algorithm of the signature.
        signed.expect(SEQUENCE)?;
        Some(signed)
    }

    /// The next element: its tag and its contents.
    pub(super) fn element(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // A certificate is shorter than three bytes of length can say.
            0x81..=0x83 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (contents, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, contents))
    }

    pub(super) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.element().filter(|(found, _)| *found == tag).map(|(_, contents)| contents)
    }
}
