//! Which certificate is shown to whom: the names that are asked for, and what answers them.
//!
//! Whoever has certificates (files, a development authority, an ACME client) puts them on a shelf of its own; handshakes read an index of all
//! shelves, which is swapped whole, so that none of them ever waits.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use super::certificate::Certificate;
use super::issuance::Issuance;

/// What a client that checks a TLS-ALPN-01 challenge speaks, and nothing else (RFC 8737).
pub(super) const CHALLENGE_PROTOCOL: &[u8] = b"acme-tls/1";

/// Challenges of each kind that may be under way. A further one is not answered.
const CHALLENGES_MAX: usize = 64;

/// Who put certificates into the store. Of two for one name, the one on the earlier shelf is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shelf {
    /// Named by the operator.
    Files,
    /// Issued by an authority that was asked for them.
    Issued,
    /// Made on the spot, for development.
    Development,
    /// Signed by themselves, so that TLS is spoken at all while there is nothing better.
    Placeholder,
}

impl Shelf {
    /// Whether whoever puts certificates here replaces them in time.
    pub(super) fn renews_itself(self) -> bool {
        self != Self::Files
    }
}

/// All certificates there are, by name.
#[derive(Default)]
pub struct Store {
    shelves: Mutex<Shelves>,
    index: ArcSwap<Index>,
    issuance: Issuance,
}

#[derive(Default)]
struct Shelves {
    certificates: BTreeMap<Shelf, Vec<Arc<Certificate>>>,
    challenges: HashMap<String, Arc<Certificate>>,
    answers: HashMap<String, Arc<str>>,
}

/// What handshakes look at.
#[derive(Default)]
struct Index {
    exact: HashMap<String, Arc<Certificate>>,
    /// By what follows the `*.`
    wildcards: HashMap<String, Arc<Certificate>>,
    /// For clients that name no host, or one that nobody holds a certificate for.
    first: Option<Arc<Certificate>>,
    challenges: HashMap<String, Arc<Certificate>>,
    /// By token.
    answers: HashMap<String, Arc<str>>,
}

impl Store {
    /// Replaces what is on a shelf.
    pub fn put(&self, shelf: Shelf, certificates: Vec<Arc<Certificate>>) {
        let mut shelves = self.shelves();
        shelves.certificates.insert(shelf, certificates);
        self.index.store(Arc::new(Index::of(&shelves)));
    }

    /// Shows this certificate to whoever checks a TLS-ALPN-01 challenge for the name, until it is taken away with `None`.
    pub fn put_challenge(&self, name: &str, certificate: Option<Arc<Certificate>>) {
        let mut shelves = self.shelves();
        let name = name.to_ascii_lowercase();
        replace(&mut shelves.challenges, name, certificate);
        self.index.store(Arc::new(Index::of(&shelves)));
    }

    /// Answers this to whoever checks an HTTP-01 challenge with the token (RFC 8555, section 8.3), until it is taken away with `None`.
    pub fn put_answer(&self, token: &str, answer: Option<&str>) {
        let mut shelves = self.shelves();
        replace(&mut shelves.answers, token.to_owned(), answer.map(Arc::from));
        self.index.store(Arc::new(Index::of(&shelves)));
    }

    /// What became of orders, for those who place them and those who watch.
    pub fn issuance(&self) -> &Issuance {
        &self.issuance
    }

    /// What is shown to a client that asks for this host: the certificate of exactly this name, one with a wildcard in the place of its first label,
    /// or the first of all.
    pub fn find(&self, name: Option<&str>) -> Option<Arc<Certificate>> {
        let index = self.index.load();
        let named = name.map(lower).and_then(|name| {
            let wildcard = || index.wildcards.get(name.split_once('.')?.1);
            index.exact.get(&*name).or_else(wildcard)
        });
        named.or(index.first.as_ref()).cloned()
    }

    /// Every certificate, the first one first.
    pub fn certificates(&self) -> Vec<Arc<Certificate>> {
        self.shelved().into_iter().map(|(_, certificate)| certificate).collect()
    }

    /// The same, and who put them there.
    pub(super) fn shelved(&self) -> Vec<(Shelf, Arc<Certificate>)> {
        let shelves = self.shelves();
        shelves.certificates.iter().flat_map(|(shelf, all)| all.iter().map(|each| (*shelf, Arc::clone(each)))).collect()
    }

    fn challenge(&self, name: &str) -> Option<Arc<Certificate>> {
        self.index.load().challenges.get(&*lower(name)).cloned()
    }

    /// The answer to a token that is known.
    pub(super) fn answer(&self, token: &[u8]) -> Option<Arc<str>> {
        let index = self.index.load();
        if index.answers.is_empty() { None } else { index.answers.get(std::str::from_utf8(token).ok()?).cloned() }
    }

    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    fn of(shelves: &Shelves) -> Self {
        let mut index = Self { challenges: shelves.challenges.clone(), answers: shelves.answers.clone(), ..Self::default() };
        for certificate in shelves.certificates.values().flatten() {
            for name in certificate.names() {
                let (names, key) = match name.strip_prefix("*.") {
                    Some(rest) => (&mut index.wildcards, rest),
                    None => (&mut index.exact, name.as_str()),
                };
                names.entry(key.to_owned()).or_insert_with(|| Arc::clone(certificate));
            }
            index.first.get_or_insert_with(|| Arc::clone(certificate));
        }
        index
    }
}

impl ResolvesServerCert for Store {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let checks_challenge = hello.alpn().is_some_and(|mut protocols| protocols.any(|protocol| protocol == CHALLENGE_PROTOCOL));
        let certificate = if checks_challenge { self.challenge(hello.server_name()?) } else { self.find(hello.server_name()) };
        certificate.map(|certificate| Arc::clone(certificate.key()))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.certificates()).finish()
    }
}

fn replace<T>(challenges: &mut HashMap<String, T>, key: String, value: Option<T>) {
    match value {
        Some(value) if challenges.len() < CHALLENGES_MAX || challenges.contains_key(&key) => drop(challenges.insert(key, value)),
        Some(_) => tracing::warn!(max = CHALLENGES_MAX, "too many challenges at a time: one is not answered"),
        None => drop(challenges.remove(&key)),
    }
}

fn lower(name: &str) -> Cow<'_, str> {
    if name.bytes().any(|byte| byte.is_ascii_uppercase()) { name.to_ascii_lowercase().into() } else { name.into() }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;

    use super::*;

    fn certificate(source: &str, names: &[&str]) -> Arc<Certificate> {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let signed = CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        Arc::new(Certificate::new(vec![signed.der().clone()], key, source).unwrap())
    }

    fn shown(store: &Store, name: &str) -> Option<String> {
        store.find((!name.is_empty()).then_some(name)).map(|certificate| certificate.source().to_owned())
    }

    #[test]
    fn the_closest_name_wins_and_the_first_certificate_is_for_everybody_else() {
        let store = Store::default();
        assert_eq!(shown(&store, "a.example"), None);
        store.put(
            Shelf::Files,
            vec![
                certificate("first", &["first.example"]),
                certificate("wild", &["*.wild.example", "*.deep.wild.example"]),
                certificate("exact", &["A.wild.example", "first.example"]),
            ],
        );
        for (name, expected) in [
            ("first.example", "first"),
            ("a.wild.example", "exact"),
            ("A.WILD.EXAMPLE", "exact"),
            ("b.wild.example", "wild"),
            ("x.deep.wild.example", "wild"),
            // One label only.
            ("x.b.wild.example", "first"),
            ("wild.example", "first"),
            ("other.test", "first"),
            ("", "first"),
        ] {
            assert_eq!(shown(&store, name).as_deref(), Some(expected), "{name}");
        }
    }

    #[test]
    fn shelves_do_not_touch_each_other_and_the_earlier_one_goes_first() {
        let store = Store::default();
        store.put(Shelf::Development, vec![certificate("made", &["localhost", "a.example"])]);
        assert_eq!(shown(&store, "").as_deref(), Some("made"));
        store.put(Shelf::Files, vec![certificate("file", &["a.example"])]);
        let all = ["", "a.example", "localhost"].map(|name| shown(&store, name).unwrap());
        assert_eq!(all, ["file", "file", "made"]);
        store.put(Shelf::Files, Vec::new());
        assert_eq!(shown(&store, "a.example").as_deref(), Some("made"));
        assert_eq!(store.certificates().len(), 1);
    }

    #[test]
    fn a_challenge_is_answered_until_it_is_taken_away_and_seen_by_nobody_else() {
        let store = Store::default();
        store.put(Shelf::Files, vec![certificate("file", &["a.example"])]);
        store.put_challenge("A.example", Some(certificate("challenge", &["a.example"])));
        assert_eq!(store.challenge("a.example").unwrap().source(), "challenge");
        assert!(store.challenge("b.example").is_none());
        assert_eq!(shown(&store, "a.example").as_deref(), Some("file"));
        assert_eq!(store.certificates().len(), 1);
        store.put_challenge("a.example", None);
        assert!(store.challenge("a.example").is_none());
    }

    #[test]
    fn tokens_are_answered_until_they_are_taken_away_and_never_too_many() {
        let store = Store::default();
        assert!(store.answer(b"token").is_none());
        for number in 0..2 * CHALLENGES_MAX {
            store.put_answer(&format!("token{number}"), Some(&format!("answer{number}")));
        }
        assert_eq!(store.answer(b"token1").as_deref(), Some("answer1"));
        assert!(store.answer(b"token").is_none() && store.answer(b"\xff").is_none());
        let last = format!("token{CHALLENGES_MAX}");
        assert!(store.answer(last.as_bytes()).is_none(), "one too many");
        store.put_answer("token1", None);
        store.put_answer(&last, Some("now"));
        assert!(store.answer(b"token1").is_none());
        assert_eq!(store.answer(last.as_bytes()).as_deref(), Some("now"));
    }
}
