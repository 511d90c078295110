//! How TLS is spoken with the servers of an upstream, from its settings.

use plimsoll_gateway::secure::{Client, Identity, Roots, Spec};

use crate::config::{self, Switch};
use crate::report::Failure;

/// Whom to believe and what to show; none where no server speaks TLS.
pub fn spec(upstream: &config::Upstream) -> Option<Spec> {
    if !upstream.may_speak_tls() {
        return None;
    }
    let roots = match (upstream.tls_verify, &upstream.ca) {
        (Some(Switch::Off), _) => Roots::Anyone,
        (_, Some(file)) => Roots::Only(file.clone()),
        (_, None) => Roots::System,
    };
    let identity = upstream.client_certificate.clone().zip(upstream.client_key.clone());
    Some(Spec { roots, identity: identity.map(|(certificate, key)| Identity { certificate, key }) })
}

pub(super) fn client(upstream: &config::Upstream) -> Result<Option<Client>, Failure> {
    let Some(spec) = spec(upstream) else { return Ok(None) };
    let client = Client::new(spec).map_err(|error| Failure::asked(format!("upstream `{}`: {error}", upstream.name)))?;
    Ok(Some(client))
}
