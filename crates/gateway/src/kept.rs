//! What outlives a reload though its plan does not: counts whose bounds would begin anew, and what was measured of routes that stay.
//!
//! A route is the same as before if it takes the same requests. What nobody counts with or measures any more is forgotten.

use std::sync::{Arc, Weak};

use plimsoll_policy::hedge::{self, Hedge};

use crate::action::{Action, Mirror};
use crate::bounded::Count;
use crate::config::Config;
use crate::route::{Match, Route};

#[derive(Default)]
pub(crate) struct Kept {
    encoders: Arc<Count>,
    mirrors: Vec<(Match, Weak<Count>)>,
    hedges: Vec<(Match, hedge::Config, Weak<Hedge>)>,
}

impl Kept {
    /// Lets what is about to be in force go on where everything before it is.
    pub(crate) fn hand_to(&mut self, config: &mut Config, routes: &mut [Route]) {
        self.mirrors.retain(|(_, count)| count.strong_count() > 0);
        self.hedges.retain(|(.., hedge)| hedge.strong_count() > 0);
        if let Some(compression) = &mut config.compression {
            compression.count_with(&self.encoders);
        }
        for route in routes {
            self.hand_mirror(route);
            self.hand_hedge(route);
        }
    }

    fn hand_mirror(&mut self, route: &mut Route) {
        let Action::Forward(to) = &mut route.action else { return };
        let Some(new) = &mut to.mirror else { return };
        match self.mirrors.iter().find(|(on, _)| *on == route.on).and_then(|(_, count)| count.upgrade()) {
            Some(count) => *new = Arc::new(Mirror::count_with(new, count)),
            None => self.mirrors.push((route.on.clone(), Arc::downgrade(new.in_flight()))),
        }
    }

    /// Measured on other terms it would be of no use.
    fn hand_hedge(&mut self, route: &mut Route) {
        let Some((new, terms)) = route.hedge.as_mut().zip(route.policies.hedge) else { return };
        let known = self.hedges.iter().find(|(on, known, _)| *on == route.on && *known == terms);
        match known.and_then(|(.., hedge)| hedge.upgrade()) {
            Some(hedge) => *new = hedge,
            None => self.hedges.push((route.on.clone(), terms, Arc::downgrade(new))),
        }
    }
}
