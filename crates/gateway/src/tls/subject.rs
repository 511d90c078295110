//! Whom a certificate is for, in words for the log: its subject, most specific part first, as in RFC 4514, or else the first of its names.

use std::fmt::Write as _;

use tokio_rustls::rustls::pki_types::CertificateDer;
use webpki::EndEntityCert;

use super::der::{OBJECT, Reader, SEQUENCE, SET};

/// A longer one is cut: whoever signs certificates may write what he likes.
const LENGTH_MAX: usize = 256;
const PARTS_MAX: usize = 16;

/// The kinds of parts that have short names, by the DER of their object identifiers.
const KINDS: &[(&[u8], &str)] = &[
    (&[0x55, 0x04, 0x03], "CN"),
    (&[0x55, 0x04, 0x05], "serialNumber"),
    (&[0x55, 0x04, 0x06], "C"),
    (&[0x55, 0x04, 0x07], "L"),
    (&[0x55, 0x04, 0x08], "ST"),
    (&[0x55, 0x04, 0x0a], "O"),
    (&[0x55, 0x04, 0x0b], "OU"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x01], "UID"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01, 0x19], "DC"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01], "emailAddress"),
];

/// Of a verified certificate; empty if it names nobody.
pub(crate) fn of(certificate: &CertificateDer<'_>) -> String {
    let mut text = subject(certificate).unwrap_or_default();
    if text.is_empty() {
        text = first_name(certificate).unwrap_or_default();
    }
    text.truncate(text.floor_char_boundary(LENGTH_MAX));
    text
}

fn subject(certificate: &[u8]) -> Option<String> {
    let mut signed = Reader::from_issuer(certificate)?;
    // The issuer and the validity.
    signed.expect(SEQUENCE)?;
    signed.expect(SEQUENCE)?;
    let mut names = Reader(signed.expect(SEQUENCE)?);
    let mut parts = Vec::new();
    while !names.0.is_empty() && parts.len() < PARTS_MAX {
        let mut attribute = Reader(Reader(names.expect(SET)?).expect(SEQUENCE)?);
        let kind = attribute.expect(OBJECT)?;
        let (_, value) = attribute.element()?;
        if let Some((_, name)) = KINDS.iter().find(|(known, _)| *known == kind) {
            parts.push(format!("{name}={}", escaped(value)));
        }
    }
    parts.reverse();
    Some(parts.join(","))
}

fn first_name(certificate: &CertificateDer<'_>) -> Option<String> {
    let certificate = EndEntityCert::try_from(certificate).ok()?;
    let name = certificate.valid_uri_names().next().or_else(|| certificate.valid_dns_names().next());
    name.map(|name| escaped(name.as_bytes()))
}

/// So that a part cannot pass for two, nor write a line of its own.
fn escaped(value: &[u8]) -> String {
    let mut text = String::new();
    for character in String::from_utf8_lossy(value).chars() {
        match character {
            ',' | '+' | '"' | '\\' | '<' | '>' | ';' | '=' => write!(text, "\\{character}"),
            _ if character.is_control() => write!(text, "{}", character.escape_default()),
            _ => write!(text, "{character}"),
        }
        .expect("writing to a string cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};

    use super::*;

    fn certificate(parts: &[(DnType, &str)], names: &[SanType]) -> CertificateDer<'static> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        for (kind, value) in parts {
            params.distinguished_name.push(kind.clone(), *value);
        }
        params.subject_alt_names = names.to_vec();
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn the_subject_is_written_with_its_most_specific_part_first() {
        let ada = [(DnType::CountryName, "GB"), (DnType::OrganizationName, "Engines, Ltd"), (DnType::CommonName, "ada=\n")];
        assert_eq!(of(&certificate(&ada, &[])), "CN=ada\\=\\n,O=Engines\\, Ltd,C=GB");
        let long = "a".repeat(400);
        assert_eq!(of(&certificate(&[(DnType::CommonName, &long)], &[])).len(), LENGTH_MAX);
    }

    #[test]
    fn who_has_no_subject_is_known_by_the_first_name() {
        let spiffe = SanType::URI("spiffe://prod/billing".try_into().unwrap());
        let dns = SanType::DnsName("billing.internal".try_into().unwrap());
        assert_eq!(of(&certificate(&[], &[dns.clone(), spiffe])), "spiffe://prod/billing");
        assert_eq!(of(&certificate(&[], &[dns])), "billing.internal");
        assert_eq!(of(&certificate(&[], &[])), "");
    }

    proptest! {
        #[test]
        fn nothing_makes_it_fall_over(at in 0..300_usize, byte in any::<u8>(), cut in 0..500_usize) {
            let mut bytes = certificate(&[(DnType::CommonName, "ada"), (DnType::OrganizationName, "Engines")], &[]).to_vec();
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(cut);
            let text = of(&CertificateDer::from(bytes));
            prop_assert!(text.len() <= LENGTH_MAX && !text.contains(char::is_control), "{text:?}");
        }
    }
}
