//! One order from beginning to end: account, order, proof, certificate (RFC 8555, section 7).

use std::time::Duration;

use anyhow::Result;
use instant_acme::{
    Account, AuthorizationStatus, Error, ExternalAccountKey, Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use plimsoll_gateway::tls::Store;
use tokio::time::timeout;

use super::cabinet::Cabinet;
use super::challenge::{self, Shown};
use super::directory::{Directory, Roots};
use super::setback::{self, Setback};
use crate::config::{Acme, Named};
use crate::report::Failure;

/// An authority looks from several places, and may take its time.
const TIME_MAX: Duration = Duration::from_mins(5);
const POLLING: RetryPolicy = RetryPolicy::new().initial_delay(Duration::from_millis(250)).backoff(1.5).timeout(Duration::from_mins(2));

/// Whom to ask, and as whom.
pub(super) struct Authority {
    settings: Acme,
    url: String,
    directory: Directory,
}

/// Both in PEM.
pub(super) struct Issued {
    /// The certificate, and those that vouch for it.
    pub(super) chain: String,
    pub(super) key: String,
}

impl Authority {
    pub(super) fn new(url: &str, settings: &Acme, roots: &Roots) -> Result<Self, Failure> {
        let directory = Directory::new(roots).map_err(Failure::asked)?;
        Ok(Self { settings: settings.clone(), url: url.to_owned(), directory })
    }

    /// Gets a certificate for a name. `placing` is called before anything that the authority counts.
    pub(super) async fn certificate(
        &self,
        name: &str,
        cabinet: &Cabinet,
        store: &Store,
        placing: impl FnOnce() -> Result<()>,
    ) -> Result<Issued, Setback> {
        let issued = async {
            let account = self.account(cabinet).await?;
            placing().map_err(|error| local(&error))?;
            let identifiers = [Identifier::Dns(name.to_owned())];
            let placed = account.new_order(&NewOrder::new(&identifiers)).await;
            let mut order = placed.map_err(|error| self.forgotten(error, cabinet))?;
            let _shown = self.prove(&mut order, name, store).await?;
            self.checked(&mut order).await?;
            let key = order.finalize().await.map_err(|error| self.told(error))?;
            let chain = order.poll_certificate(&POLLING).await.map_err(|error| self.told(error))?;
            Ok(Issued { chain, key })
        };
        let late = || Setback::Failed(format!("the authority took longer than {} s", TIME_MAX.as_secs()));
        timeout(TIME_MAX, issued).await.unwrap_or_else(|_| Err(late()))
    }

    /// The account that was made before, or a new one.
    async fn account(&self, cabinet: &Cabinet) -> Result<Account, Setback> {
        let builder = Account::builder_with_http(Box::new(self.directory.clone()));
        if let Some(known) = cabinet.account().map_err(|error| local(&error))? {
            return builder.from_credentials(known).await.map_err(|error| self.told(error));
        }
        let contact: Vec<_> = self.settings.contact.iter().map(|address| format!("mailto:{address}")).collect();
        let contact: Vec<_> = contact.iter().map(String::as_str).collect();
        let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let external = self.settings.external().map(|(account, key)| ExternalAccountKey::new(account, &key));
        let (account, credentials) = builder.create(&new, self.url.clone(), external.as_ref()).await.map_err(|error| self.told(error))?;
        cabinet.keep_account(&credentials).map_err(|error| local(&error))?;
        tracing::info!(directory = self.url, "an account was made with the authority");
        Ok(account)
    }

    /// Shows what the authority wants to see, and says so.
    async fn prove<'a>(&self, order: &mut Order, name: &str, store: &'a Store) -> Result<Vec<Shown<'a>>, Setback> {
        let mut shown = Vec::new();
        let mut authorizations = order.authorizations();
        while let Some(authorization) = authorizations.next().await {
            let mut authorization = authorization.map_err(|error| self.told(error))?;
            if authorization.status != AuthorizationStatus::Pending {
                // Proven before; or lost, which the order then says.
                continue;
            }
            let kind = self.settings.challenge;
            let mut challenge = authorization.challenge(challenge::kind(kind)).ok_or_else(|| {
                Setback::Refused(format!("the authority does not check by {}: choose another gateway.tls.acme.challenge", kind.as_str()))
            })?;
            shown.push(Shown::to(store, name, &challenge).map_err(|error| local(&error))?);
            challenge.set_ready().await.map_err(|error| self.told(error))?;
        }
        Ok(shown)
    }

    /// Waits until the authority has seen it.
    async fn checked(&self, order: &mut Order) -> Result<(), Setback> {
        let error = match order.poll_ready(&POLLING).await {
            Ok(OrderStatus::Ready) => return Ok(()),
            Ok(_) => None,
            Err(error @ Error::Api(_)) => Some(error),
            Err(error) => return Err(self.told(error)),
        };
        // What the challenge says is what somebody can mend.
        let mut authorizations = order.authorizations();
        while let Some(Ok(mut authorization)) = authorizations.next().await {
            if let Ok(state) = authorization.refresh().await
                && let Some(problem) = state.challenges.iter().find_map(|challenge| challenge.error.as_ref())
            {
                return Err(Setback::of_problem(problem, self.directory.take_retry_after()));
            }
        }
        Err(error.map_or_else(
            || Setback::Refused("the authority calls the order invalid, and does not say why".to_owned()),
            |error| self.told(error),
        ))
    }

    fn told(&self, error: Error) -> Setback {
        Setback::of(error, self.directory.take_retry_after())
    }

    /// An authority that has lost the account gets a new one with the next order.
    fn forgotten(&self, error: Error, cabinet: &Cabinet) -> Setback {
        if let Error::Api(problem) = &error
            && setback::kind(problem) == "accountDoesNotExist"
            && let Err(error) = cabinet.put_account_aside()
        {
            return local(&error);
        }
        self.told(error)
    }
}

/// Something on this side does not work.
fn local(error: &anyhow::Error) -> Setback {
    Setback::Failed(format!("{error:#}"))
}
