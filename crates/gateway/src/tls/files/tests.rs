use std::os::unix::fs::PermissionsExt;

use rcgen::{CertificateParams, KeyPair, PKCS_ED25519};

use super::*;

struct Made {
    certificate: String,
    key: String,
}

fn made(name: &str) -> Made {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    Made { certificate: certificate.pem(), key: key.serialize_pem() }
}

/// What is said about a pair of files with these texts, with the directory left out.
fn said(chain: &str, key: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let files = Files { chain: directory.path().join("chain.pem"), key: directory.path().join("key.pem") };
    std::fs::write(&files.chain, chain).unwrap();
    std::fs::write(&files.key, key).unwrap();
    let said = match files.load() {
        Ok(certificate) => certificate.names().join(" "),
        Err(error) => error.to_string(),
    };
    said.replace(&format!("{}/", directory.path().display()), "")
}

#[test]
fn a_chain_and_its_key_are_a_certificate_in_one_file_or_two() {
    let [one, above] = [made("A.example"), made("above.example")];
    assert_eq!(said(&(one.certificate.clone() + &above.certificate), &one.key), "a.example");
    let directory = tempfile::tempdir().unwrap();
    let both = directory.path().join("both.pem");
    std::fs::write(&both, format!("# a comment\n{}{}", one.key, one.certificate)).unwrap();
    let certificate = Files { chain: both.clone(), key: both.clone() }.load().unwrap();
    assert_eq!((certificate.names(), certificate.source()), (&["a.example".to_owned()][..], &*both.to_string_lossy()));
}

#[test]
fn every_kind_of_key_will_do() {
    let key = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let certificate = CertificateParams::new(vec!["ed.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    assert_eq!(said(&certificate.pem(), &key.serialize_pem()), "ed.example");
}

#[test]
fn each_mistake_names_the_file_to_mend() {
    let [one, other] = [made("a.example"), made("b.example")];
    let encrypted = one.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let begin = "-----BEGIN";
    for (chain, key, expected) in [
        (&*one.certificate, &*other.key, "the key in key.pem does not belong to the certificate in chain.pem".to_owned()),
        (
            &(other.certificate.clone() + &one.certificate),
            &one.key,
            "the certificates in chain.pem stand in the wrong order: number 2 belongs to the key and must be the first".to_owned(),
        ),
        ("", &one.key, format!("chain.pem holds no certificate: no block in it begins with `{begin} CERTIFICATE-----`")),
        (&one.key, &one.key, format!("chain.pem holds no certificate: no block in it begins with `{begin} CERTIFICATE-----`")),
        (&one.certificate, "", format!("key.pem holds no private key: no block in it begins with `{begin} PRIVATE KEY-----`")),
        (
            &one.certificate,
            &encrypted,
            "the key in key.pem is encrypted: `openssl pkey -in key.pem -out plain.key` writes it without its passphrase".to_owned(),
        ),
    ] {
        assert_eq!(said(chain, key), expected);
    }
    let cut = &one.certificate[..one.certificate.len() / 2];
    assert!(said(cut, &one.key).starts_with("chain.pem is no valid PEM file: "), "{}", said(cut, &one.key));
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(said(nonsense, &one.key), "the certificate in chain.pem cannot be used");
    let no_key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_eq!(said(&one.certificate, no_key), "the key in key.pem cannot be used: it must be an RSA, ECDSA or Ed25519 key");
}

#[test]
fn what_is_no_file_is_not_waited_for() {
    let nowhere = Files { chain: "/no/such/chain.pem".into(), key: "/no/such/key.pem".into() };
    assert_eq!(nowhere.load().unwrap_err().to_string(), "cannot read /no/such/chain.pem");
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    for path in [pipe, directory.path().to_owned()] {
        let error = Files { chain: path.clone(), key: path }.load().unwrap_err();
        let Error::Read { source, .. } = error else { panic!("{error}") };
        assert_eq!(source.to_string(), "it is not a file");
    }
}

#[test]
fn a_change_of_either_file_is_seen_and_so_is_an_open_key() {
    let directory = tempfile::tempdir().unwrap();
    let files = Files { chain: directory.path().join("chain.pem"), key: directory.path().join("key.pem") };
    let mut stamps = vec![files.stamps()];
    for (file, text) in [(&files.chain, "a"), (&files.key, "b"), (&files.chain, "longer")] {
        std::fs::write(file, text).unwrap();
        stamps.push(files.stamps());
    }
    // Renamed over: as long as before, and as old.
    std::fs::write(directory.path().join("new"), "LONGER").unwrap();
    std::fs::rename(directory.path().join("new"), &files.chain).unwrap();
    stamps.push(files.stamps());
    assert!(stamps.windows(2).all(|pair| pair[0] != pair[1]), "{stamps:?}");
    assert_eq!(files.stamps(), files.stamps());

    for (mode, exposed) in [(0o600, false), (0o640, false), (0o644, true)] {
        std::fs::set_permissions(&files.key, std::fs::Permissions::from_mode(mode)).unwrap();
        assert_eq!(files.key_is_exposed(), exposed, "{mode:o}");
    }
}
