//! What an answer tells about its way here, and to whom: where its time went (`Server-Timing`) and through whom it came (`Via`).
//!
//! Both are for those who look for a fault, and tell everybody else more than they need. So they are off unless an operator wants them, and
//! can be kept for those who ask. What software says about itself in every answer is of use to nobody, and does not pass.

mod removed;
mod timing;

use plimsoll_policy::forwarded::TrustedProxies;

use crate::forwarded::{Hop, PSEUDONYM};
use crate::journey::Journey;
use crate::message::{Headers, ResponseHead};

pub use removed::Removed;
pub(crate) use timing::Timing;

/// With this field, whatever it says, a request asks for what is told to those who ask.
pub const ASKS: &str = "x-request-diagnostics";

const SERVER_TIMING: &str = "server-timing";

/// When something is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tell {
    #[default]
    Off,
    /// To clients that ask, and may.
    Asked,
    Always,
}

impl Tell {
    fn applies(self, asked: bool) -> bool {
        self == Self::Always || self == Self::Asked && asked
    }
}

/// What is told about an answer, besides the answer.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// Where its time went. An instance's own `Server-Timing` stays in front of ours; kept for those who ask, nobody else gets either.
    pub server_timing: Tell,
    /// Who has passed it on.
    pub via: Tell,
    /// The clients that may ask.
    pub asked_by: TrustedProxies,
}

impl Config {
    /// Whether anything is ever told. Otherwise requests need not be asked what they want.
    pub fn is_on(&self) -> bool {
        (self.server_timing, self.via) != (Tell::Off, Tell::Off)
    }

    /// What the answer to this request will tell.
    pub(crate) fn wanted(&self, hop: &Hop, headers: &Headers) -> Wanted {
        let asked = self.asked_by.contains(hop.client) && headers.first_named(ASKS).is_some();
        let applies = |tell: Tell| tell.applies(asked);
        Wanted { timing: applies(self.server_timing), via: applies(self.via), hides_timing: self.server_timing == Tell::Asked && !asked }
    }
}

/// What one answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) timing: bool,
    via: bool,
    hides_timing: bool,
}

impl Wanted {
    /// Says so in the head of the answer.
    pub(crate) fn tell(self, journey: &Journey, head: &mut ResponseHead) {
        if self.hides_timing {
            head.headers.retain(|_, name| !name.eq_ignore_ascii_case(SERVER_TIMING.as_bytes()));
        }
        if let Some(text) = journey.server_timing() {
            // Otherwise an instance could name it in `Connection`, and have it removed.
            head.headers.end_hop();
            head.headers.push(SERVER_TIMING.as_bytes(), text.as_bytes());
        }
        // What the edge itself says has come through nobody.
        if let Some(version) = head.version.filter(|_| self.via) {
            let member = format!("{} {PSEUDONYM}", version.number());
            head.headers.push(b"via", member.as_bytes());
        }
    }
}
