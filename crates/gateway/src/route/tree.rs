//! Patterns as a tree of segments: a look-up costs the path's own length, however many patterns there are.
//!
//! At each point a segment that is written out goes before one with a name, and that before everything below; at the end of a path the
//! pattern that ends there goes before everything below. So the patterns that take a path come in one order, wherever they were declared.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::pattern::{Pattern, Segment};

/// The patterns below one point of the path. Who is found are positions in a list of routes.
#[derive(Debug, Default)]
pub(super) struct Tree {
    literal: HashMap<Box<[u8]>, Tree, RandomState>,
    named: Option<Box<Tree>>,
    /// The path ends here.
    exact: Vec<usize>,
    /// Here and everything below.
    tail: Vec<usize>,
}

impl Tree {
    /// Those who share this very pattern, whatever names it gives.
    pub(super) fn place(&mut self, pattern: &Pattern) -> &mut Vec<usize> {
        let tree = pattern.segments().iter().fold(self, |tree, segment| match segment {
            Segment::Literal(bytes) => tree.literal.entry(bytes.clone()).or_default(),
            Segment::Named(_) => tree.named.get_or_insert_default(),
        });
        if pattern.has_tail() { &mut tree.tail } else { &mut tree.exact }
    }

    /// Shows those whose pattern takes the path, the most specific pattern first, until `visit` is content.
    pub(super) fn find<'a, T>(&'a self, path: &[u8], visit: &mut impl FnMut(&'a [usize]) -> Option<T>) -> Option<T> {
        self.walk(path.get(1..), visit)
    }

    /// `rest` is what follows the slash; `None`: the path has ended.
    fn walk<'a, T>(&'a self, rest: Option<&[u8]>, visit: &mut impl FnMut(&'a [usize]) -> Option<T>) -> Option<T> {
        let found = match rest {
            None => show(&self.exact, visit),
            Some(_) if self.is_leaf() => None,
            Some(rest) => {
                let (segment, rest) = split(rest);
                let literal = self.literal.get(segment).and_then(|child| child.walk(rest, visit));
                // An empty segment has no name: servers disagree on whether it is there.
                literal.or_else(|| self.named.as_deref().filter(|_| !segment.is_empty())?.walk(rest, visit))
            }
        };
        found.or_else(|| show(&self.tail, visit))
    }

    /// Every list of those who share a pattern.
    pub(super) fn lists(&mut self, each: &mut impl FnMut(&mut Vec<usize>)) {
        each(&mut self.exact);
        each(&mut self.tail);
        self.literal.values_mut().for_each(|child| child.lists(each));
        if let Some(named) = &mut self.named {
            named.lists(each);
        }
    }

    fn is_leaf(&self) -> bool {
        self.literal.is_empty() && self.named.is_none()
    }

    /// Whether every path leads to the same list.
    pub(super) fn is_one_for_all(&self) -> bool {
        self.is_leaf()
    }
}

fn show<'a, T>(list: &'a [usize], visit: &mut impl FnMut(&'a [usize]) -> Option<T>) -> Option<T> {
    if list.is_empty() { None } else { visit(list) }
}

/// The first segment, and what follows its slash.
fn split(rest: &[u8]) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(b'/', rest) {
        Some(slash) => (&rest[..slash], Some(&rest[slash + 1..])),
        None => (rest, None),
    }
}
