//! What handlers reach: made once per process, cloned per request at the price of one counter.

use std::ops::Deref;
use std::sync::Arc;

use plimsoll_policy::catch_panic::PanicCount;
use plimsoll_policy::forwarded::TrustedProxies;
use plimsoll_state::State;

use crate::config::Config;
use crate::lifecycle::Lifecycle;
use crate::session::Sessions;
use crate::session::cookie::SessionCookies;
use crate::stats::Recorder;

/// A handle on everything one instance shares between its requests.
#[derive(Clone)]
pub struct Context(Arc<Parts>);

/// Reached through [`Context`].
pub struct Parts {
    pub instance: String,
    pub version: String,
    pub lifecycle: Lifecycle,
    pub panics: PanicCount,
    pub(crate) state: State,
    pub(crate) sessions: Sessions,
    pub(crate) cookies: SessionCookies,
    pub(crate) trusted: TrustedProxies,
    pub(crate) recorder: Arc<Recorder>,
}

impl Context {
    pub fn new(config: &Config) -> Self {
        Self(Arc::new(Parts {
            instance: config.instance.clone(),
            version: config.version.clone(),
            lifecycle: Lifecycle::default(),
            panics: PanicCount::default(),
            state: Arc::clone(&config.state),
            sessions: Sessions::new(Arc::clone(&config.state), config.session_ttl),
            cookies: SessionCookies::new(config.session_keys.clone(), config.session_ttl),
            trusted: config.trusted_proxies.clone(),
            recorder: Arc::new(Recorder::new(config.instance.clone(), Arc::clone(&config.state))),
        }))
    }
}

impl Deref for Context {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
