//! Certificates by ACME (RFC 8555): ordered when there is none, renewed before they end, kept in the data directory.
//!
//! | module | does |
//! |---|---|
//! | `schedule` | when the next order for a name is due: pure |
//! | `cabinet` | account, certificates and the record of orders on disk, and the claim to order |
//! | `directory` | how the authority is asked: HTTP over TLS, with limits |
//! | `order` | one order from beginning to end |
//! | `challenge` | what is shown to the authority meanwhile |
//! | `setback` | why an order came to nothing, and how soon another makes sense |
//! | `placeholder` | what is shown while there is no certificate |
//!
//! Each name has a certificate of its own, so that one that does not lead here keeps none of the others from theirs. Orders are placed one
//! after the other. Nothing here is on the way of a request.

mod cabinet;
mod challenge;
mod directory;
mod order;
mod placeholder;
mod schedule;
mod setback;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use plimsoll_gateway::tls::{Certificate, Ordered, Server, Shelf, Store};
use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::config::Acme;
use crate::report::Failure;
use cabinet::Cabinet;
use directory::Roots;
use order::Authority;
use schedule::Record;
use setback::Setback;

/// How often somebody who may not order looks whether it may now.
const CLAIM_EVERY: Duration = Duration::from_secs(1);
/// A machine may have slept, and its clock may have been set: the clock on the wall is asked this often.
const LOOK_EVERY: Duration = Duration::from_mins(1);

/// Shows the certificates that are there, and sees to it that there are always some, for as long as the server is. Needs a tokio runtime.
pub fn supply(server: &Server, acme: &Acme, data_dir: &Path) -> Result<(), Failure> {
    let Some(url) = &acme.directory else { return Ok(()) };
    let cabinet =
        Cabinet::open(data_dir, url).map_err(|error| Failure::failed(error).hint("the directory `acme` in data_dir must be writable"))?;
    let authority = Authority::new(url, acme, &roots(acme))?;
    let names = acme.names.iter().map(|name| (name.clone(), Name::default())).collect();
    let mut desk = Desk { cabinet, authority, names, renew_before: acme.renew_before };
    desk.read();
    desk.show(server.store())?;
    server.supply(|store| aside(async move { desk.run(&store).await }));
    Ok(())
}

/// Does what files have to be written for, and waited for until they lie on the disk, on a thread of its own, for as long as anybody waits for it.
async fn aside(work: impl Future<Output = ()> + Send + 'static) {
    let wanted = CancellationToken::new();
    let _until_nobody_waits = wanted.clone().drop_guard();
    let runtime = Handle::current();
    // It ends early if nobody waits any more, and then there is nobody to tell.
    let _ = spawn_blocking(move || runtime.block_on(wanted.run_until_cancelled_owned(work))).await;
}

/// What can be said of the settings without asking the authority.
pub fn check(acme: &Acme) -> Result<(), plimsoll_trust::Error> {
    if acme.is_on() { plimsoll_trust::client(&roots(acme), None, &[]).map(drop) } else { Ok(()) }
}

fn roots(acme: &Acme) -> Roots {
    acme.directory_ca.clone().map_or(Roots::System, Roots::Only)
}

/// Everything about the names, and whom to ask.
struct Desk {
    cabinet: Cabinet,
    authority: Authority,
    names: BTreeMap<String, Name>,
    renew_before: Option<Duration>,
}

#[derive(Default)]
struct Name {
    certificate: Option<Arc<Certificate>>,
    record: Record,
    /// A number between 0 and 1 that spreads renewals.
    jitter: f64,
}

impl Desk {
    async fn run(mut self, store: &Store) {
        let _claim = loop {
            match self.cabinet.claim() {
                Ok(Some(claim)) => break claim,
                // The predecessor of an upgrade, or of a reload, is just leaving.
                Ok(None) => sleep(CLAIM_EVERY).await,
                Err(error) => {
                    tracing::error!(error = format!("{error:#}"), "no certificates are ordered");
                    return;
                }
            }
        };
        // It may have got some while we waited.
        self.read();
        self.show_or_tell(store);
        loop {
            let now = SystemTime::now();
            let (name, due) = self.next(now);
            match due.duration_since(now) {
                Ok(wait) if !wait.is_zero() => sleep(wait.min(LOOK_EVERY)).await,
                _ => self.order(&name, store).await,
            }
        }
    }

    /// The name whose order is due first, and when that is.
    fn next(&self, now: SystemTime) -> (String, SystemTime) {
        let orders: Vec<_> = self.names.values().flat_map(|name| name.record.orders()).collect();
        let room = schedule::room(&orders, now);
        let due = |(name, known): (&String, &Name)| {
            let wanted = known
                .certificate
                .as_ref()
                .map_or(now, |certificate| schedule::renewal(certificate.validity(), self.renew_before, known.jitter));
            (name.clone(), wanted.max(known.record.not_before(now)).max(room))
        };
        self.names.iter().map(due).min_by_key(|(_, due)| *due).expect("coherence asks for a name")
    }

    async fn order(&mut self, name: &str, store: &Store) {
        let cabinet = &self.cabinet;
        let known = self.names.get_mut(name).expect("it comes from there");
        let record = &mut known.record;
        let placing = || {
            record.placed(SystemTime::now());
            cabinet.keep_record(name, record).context("orders are not placed while they cannot be recorded")
        };
        let outcome = match self.authority.certificate(name, cabinet, store, placing).await {
            Ok(issued) => cabinet.keep(name, &issued).map_err(|error| Setback::Failed(format!("{error:#}"))),
            Err(setback) => Err(setback),
        };
        match outcome {
            Ok(certificate) => {
                store.issuance().count(Ordered::Issued);
                store.issuance().well(name);
                tracing::info!(name, file = certificate.source(), "a certificate was issued");
                known.hold(certificate);
                known.record.succeeded();
                self.show_or_tell(store);
            }
            Err(setback) => tell(name, known, &setback, store),
        }
        if let Err(error) = self.cabinet.keep_record(name, &self.names[name].record) {
            tracing::warn!(name, error = format!("{error:#}"), "orders cannot be recorded");
        }
    }

    /// Takes what is on disk.
    fn read(&mut self) {
        for (name, known) in &mut self.names {
            known.record = self.cabinet.record(name);
            match self.cabinet.certificate(name) {
                Ok(Some(certificate)) => known.hold(Arc::new(certificate)),
                Ok(None) => {}
                Err(error) => tracing::warn!(name, error = format!("{error:#}"), "a certificate cannot be used: another one is ordered"),
            }
        }
    }

    fn show_or_tell(&self, store: &Store) {
        if let Err(failure) = self.show(store) {
            tracing::error!(reason = %failure, "no placeholder can be made");
        }
    }

    /// Shows what there is. Names without a certificate share one that nobody believes.
    fn show(&self, store: &Store) -> Result<(), Failure> {
        let issued: Vec<_> = self.names.values().filter_map(|name| name.certificate.clone()).collect();
        let without: Vec<_> = self.names.iter().filter(|(_, known)| known.certificate.is_none()).map(|(name, _)| name.clone()).collect();
        store.put(Shelf::Issued, issued);
        let placeholder = if without.is_empty() { None } else { Some(placeholder::made_for(&without, SystemTime::now())?) };
        store.put(Shelf::Placeholder, placeholder.into_iter().collect());
        Ok(())
    }
}

impl Name {
    fn hold(&mut self, certificate: Arc<Certificate>) {
        self.certificate = Some(certificate);
        self.jitter = fastrand::f64();
    }
}

/// Notes an order that came to nothing. The log hears of it once for each thing that is wrong.
fn tell(name: &str, known: &mut Name, setback: &Setback, store: &Store) {
    let now = SystemTime::now();
    store.issuance().count(setback.ordered());
    let again_at = known.record.failed(setback, now, fastrand::f64());
    let has_expired = known.certificate.as_ref().is_some_and(|certificate| certificate.validity().left(now).is_none());
    let problem = if has_expired { format!("the certificate has expired; {setback}") } else { setback.to_string() };
    if store.issuance().trouble(name, &problem, again_at) {
        let again_in = again_at.duration_since(now).unwrap_or_default().as_secs();
        let left = known.certificate.as_ref().and_then(|certificate| certificate.validity().left(now)).map(|left| left.as_secs());
        tracing::warn!(name, problem, again_in_s = again_in, valid_for_s = left, "no certificate can be had");
    }
}
