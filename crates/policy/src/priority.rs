//! How much a request matters when not all can be served: who goes first, and who is turned away first.
//!
//! Three classes and no more: an operator must be able to say for each route which one it is without thinking twice.

use std::fmt;
use std::str::FromStr;

/// Names the class of one request; see [`Priority::claimed`] for who is believed.
pub const HEADER: &str = "x-request-priority";

/// The class of a request, most important first: `Critical < Normal < Sheddable`, as in "comes before".
///
/// ```
/// use plimsoll_policy::priority::Priority;
///
/// let priority: Priority = "critical".parse().unwrap();
/// assert!(priority < Priority::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Priority {
    /// Served before all others: log-ins, payments, what the business stops without.
    Critical,
    /// What nothing was said about.
    #[default]
    Normal,
    /// Given up first: prefetches, suggestions, what a page can do without.
    Sheddable,
}

impl Priority {
    /// Every class, most important first.
    pub const ALL: [Self; 3] = [Self::Critical, Self::Normal, Self::Sheddable];

    /// The class that bytes of a header name, if they name one.
    pub fn parse(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|priority| priority.name().as_bytes() == name)
    }

    /// The class of a request of which somebody claims something else: a trusted claim stands, any other can only ask for less.
    #[must_use]
    pub fn claimed(self, claim: Option<Self>, trusted: bool) -> Self {
        match claim {
            Some(claim) if trusted => claim,
            Some(claim) => self.max(claim),
            None => self,
        }
    }

    /// The name in configuration, headers, logs and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Normal => "normal",
            Self::Sheddable => "sheddable",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Text that names no class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownPriority;

impl fmt::Display for UnknownPriority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a priority is critical, normal or sheddable")
    }
}

impl std::error::Error for UnknownPriority {}

impl FromStr for Priority {
    type Err = UnknownPriority;

    /// Exact, lower case: a header value that is nearly right is a mistake worth finding.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|priority| priority.name() == text).ok_or(UnknownPriority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_nothing_else_is() {
        for priority in Priority::ALL {
            assert_eq!(priority.to_string().parse(), Ok(priority));
        }
        for wrong in ["", "Critical", "critical ", "high", "0"] {
            assert_eq!(wrong.parse::<Priority>(), Err(UnknownPriority), "{wrong:?}");
        }
    }

    #[test]
    fn a_stranger_can_only_ask_for_less() {
        let claimed = |claim, trusted| Priority::Normal.claimed(Some(claim), trusted);
        assert_eq!(claimed(Priority::Critical, false), Priority::Normal);
        assert_eq!(claimed(Priority::Sheddable, false), Priority::Sheddable);
        assert_eq!(claimed(Priority::Critical, true), Priority::Critical);
        assert_eq!(Priority::Critical.claimed(None, true), Priority::Critical);
    }

    #[test]
    fn critical_comes_first() {
        assert!(Priority::ALL.is_sorted());
        assert!(Priority::Critical < Priority::Normal && Priority::Normal < Priority::Sheddable);
    }
}
