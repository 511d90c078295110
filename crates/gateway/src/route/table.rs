//! All routes of a gateway, ready to be searched.

use http::Method;

use super::conditions::{Asked, Conditions, Unmet};
use super::host::{Chain, Hosts};
use super::{Error, Match, Route, reading};

/// The routes of a gateway, ready to be searched.
#[derive(Debug, Default)]
pub struct Routes {
    pub(super) list: Vec<Route>,
    table: Table,
}

/// Who takes which requests: hosts, then paths, then conditions.
#[derive(Debug, Default)]
struct Table {
    hosts: Hosts,
    conditions: Vec<Conditions>,
}

/// Two routes of which the second gets no request, because the first takes all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    pub first: usize,
    pub second: usize,
}

/// What became of a route whose host and path take a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Taken,
    Unmet(Unmet),
    /// Another takes the request, for this reason.
    After(Why),
    /// Servers may read the path as one that belongs to another route.
    Ambiguous,
}

/// Why one route goes before another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    Host,
    Path,
    Conditions,
    Declared,
}

/// Every conflict between these, as positions in the list.
pub fn conflicts<'a>(matches: impl IntoIterator<Item = &'a Match>) -> Vec<Conflict> {
    Table::of(matches).1
}

impl Table {
    fn of<'a>(matches: impl IntoIterator<Item = &'a Match>) -> (Self, Vec<Conflict>) {
        let mut hosts = Hosts::default();
        let mut conditions = Vec::new();
        for (position, each) in matches.into_iter().enumerate() {
            hosts.tree(&each.host).place(&each.path).push(position);
            conditions.push(each.conditions.clone());
        }
        let mut conflicts = Vec::new();
        hosts.seal(|list| {
            // More conditions first; among equals they stay as they were declared.
            list.sort_by_key(|position| std::cmp::Reverse(conditions[*position].count()));
            let covers = |first: usize, second: usize| conditions[first].cover(&conditions[second]);
            for (index, second) in list.iter().copied().enumerate() {
                let first = list[..index].iter().copied().find(|first| covers(*first, second));
                conflicts.extend(first.map(|first| Conflict { first, second }));
            }
        });
        (Self { hosts, conditions }, conflicts)
    }

    /// The first of those that take the path and pass `is_met`, if every reading of the path finds the same.
    fn find(&self, asked: &Asked<'_>, is_met: impl Fn(&Conditions) -> bool) -> Option<usize> {
        let chain = self.hosts.chain(asked.host);
        let find = |path: &[u8]| in_order(chain, path, &mut |position| is_met(&self.conditions[position]).then_some(position));
        let path = if asked.path.is_empty() { b"/" } else { asked.path };
        match path[0] {
            b'/' if chain.is_one_for_all() => find(path),
            b'/' => reading::agreed(path, find),
            // `OPTIONS *` is about no path.
            _ => None,
        }
    }
}

/// Shows all whose host and path take a request, the most specific first, until `visit` is content.
fn in_order<T>(chain: Chain<'_>, path: &[u8], visit: &mut impl FnMut(usize) -> Option<T>) -> Option<T> {
    chain.trees().find_map(|tree| tree.find(path, &mut |list: &[usize]| list.iter().copied().find_map(&mut *visit)))
}

/// The same, for all of them.
fn each_in_order(chain: Chain<'_>, path: &[u8], mut each: impl FnMut(usize)) {
    in_order(chain, path, &mut |position| {
        each(position);
        None::<()>
    });
}

impl Routes {
    pub fn new(routes: Vec<Route>) -> Result<Self, Error> {
        let (table, conflicts) = Table::of(routes.iter().map(|route| &route.on));
        match conflicts.first() {
            Some(conflict) => Err(Error::Duplicate(routes[conflict.second].name())),
            None => Ok(Self { list: routes, table }),
        }
    }

    /// The route of a request.
    ///
    /// `None` also when servers may read the path in ways that belong to different routes.
    pub(crate) fn find(&self, asked: &Asked<'_>) -> Option<&Route> {
        self.table.find(asked, |conditions| conditions.hold(asked)).map(|position| &self.list[position])
    }

    /// The methods for which a request would have had a route, for `Allow`; empty if it is not the method that is at fault.
    pub(crate) fn allowed(&self, asked: &Asked<'_>) -> Vec<&Method> {
        let mut allowed = Vec::new();
        if self.table.find(asked, |conditions| conditions.hold_but_for_method(asked)).is_none() {
            return allowed;
        }
        each_in_order(self.table.hosts.chain(asked.host), &reading::canonical(asked.path), |position| {
            let conditions = &self.table.conditions[position];
            if conditions.hold_but_for_method(asked) {
                let is_read = conditions.methods().contains(&Method::GET);
                allowed.extend(conditions.methods().iter().chain(is_read.then_some(&Method::HEAD)));
            }
        });
        allowed.sort_unstable_by_key(|method| method.as_str());
        allowed.dedup();
        allowed
    }

    /// Every route whose host and path take a request, in the order in which they are asked, with what became of it: positions in the list.
    pub(crate) fn verdicts(&self, asked: &Asked<'_>) -> Vec<(usize, Verdict)> {
        let taken = self.table.find(asked, |conditions| conditions.hold(asked)).map(|position| &self.list[position].on);
        let mut verdicts = Vec::new();
        each_in_order(self.table.hosts.chain(asked.host), &reading::canonical(asked.path), |position| {
            let on = &self.list[position].on;
            let verdict = match (on.conditions.first_unmet(asked), taken) {
                (Some(unmet), _) => Verdict::Unmet(unmet),
                (None, None) => Verdict::Ambiguous,
                (None, Some(taken)) if std::ptr::eq(taken, on) => Verdict::Taken,
                (None, Some(taken)) => Verdict::After(why(taken, on)),
            };
            verdicts.push((position, verdict));
        });
        verdicts
    }

    /// Whether some server may read the path as one that a route takes.
    pub(super) fn has_other_readings(&self, asked: &Asked<'_>) -> bool {
        let chain = self.table.hosts.chain(asked.host);
        let is_met =
            |path: &[u8]| in_order(chain, path, &mut |position| self.table.conditions[position].hold(asked).then_some(())).is_some();
        asked.path.starts_with(b"/") && (is_met(&reading::canonical(asked.path)) || is_met(&reading::normal(asked.path)))
    }
}

/// What makes the first of two go before the second.
fn why(first: &Match, second: &Match) -> Why {
    if first.host != second.host {
        Why::Host
    } else if !first.path.takes_the_same(&second.path) {
        Why::Path
    } else if first.conditions.count() != second.conditions.count() {
        Why::Conditions
    } else {
        Why::Declared
    }
}
