//! Which content coding an answer gets: what its client takes (RFC 9110, section 12.5.3) against what there is to choose from.
//!
//! The same decision picks an encoder for an answer that is compressed on its way and a file that was compressed beforehand. Pure; reading
//! the field costs one pass over it and no allocation.
//!
//! ```
//! use plimsoll_policy::content_coding::{Accepted, Coding};
//!
//! let accepted = Accepted::read([&b"gzip, br;q=0.9, *;q=0"[..]]);
//! assert_eq!(accepted.choose(&[Coding::Zstd, Coding::Brotli, Coding::Gzip]), Some(Coding::Gzip));
//! assert_eq!(accepted.choose(&[Coding::Zstd, Coding::Brotli]), Some(Coding::Brotli));
//! assert_eq!(accepted.choose(&[Coding::Zstd]), None);
//! ```

#[cfg(test)]
mod tests;

/// A content coding that is worth offering. `deflate` is not: clients never agreed on what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// RFC 8878.
    Zstd,
    /// RFC 7932.
    Brotli,
    /// RFC 1952.
    Gzip,
}

impl Coding {
    /// Every coding, the one that gives most for its time first.
    pub const ALL: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// Its name in `Accept-Encoding` and `Content-Encoding`.
    pub const fn token(self) -> &'static str {
        match self {
            Self::Zstd => "zstd",
            Self::Brotli => "br",
            Self::Gzip => "gzip",
        }
    }

    /// The ending of a file that holds another in this coding, by the custom of those who make them.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Zstd => "zst",
            Self::Brotli => "br",
            Self::Gzip => "gz",
        }
    }

    fn of(token: &[u8]) -> Option<Self> {
        // `x-gzip` is `gzip` (RFC 9110, section 8.4.1.3).
        let token = if token.eq_ignore_ascii_case(b"x-gzip") { &b"gzip"[..] } else { token };
        Self::ALL.into_iter().find(|coding| token.eq_ignore_ascii_case(coding.token().as_bytes()))
    }
}

/// What a client takes, and how much it would like each. Without the field it has said nothing, and gets what everybody can read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    codings: [Option<Weight>; Coding::ALL.len()],
    /// No coding at all.
    identity: Option<Weight>,
    /// `*`: whatever is not named.
    others: Option<Weight>,
}

/// Thousandths, from 0 (not at all) to 1000.
type Weight = u16;

impl Accepted {
    /// Reads the values of every `Accept-Encoding` field. A member that cannot be read says nothing; of two that contradict each other the
    /// one that asks for less counts.
    pub fn read<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut accepted = Self::default();
        for member in values.into_iter().flat_map(|value| value.split(|byte| *byte == b',')) {
            let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
            let token = parts.next().unwrap_or_default();
            let (Some(weight), Some(said)) = (weight(parts), accepted.place_of(token)) else { continue };
            *said = Some(said.map_or(weight, |before| before.min(weight)));
        }
        accepted
    }

    fn place_of(&mut self, token: &[u8]) -> Option<&mut Option<Weight>> {
        match Coding::of(token) {
            Some(coding) => Some(&mut self.codings[coding as usize]),
            None if token == b"*" => Some(&mut self.others),
            None if token.eq_ignore_ascii_case(b"identity") => Some(&mut self.identity),
            None => None,
        }
    }

    /// The coding on offer that the client likes best; among equals the one that is offered first. `None`: no coding, because the client
    /// likes that better, or takes none of these. It gets that even if it has said that it does not take it: an answer it may not be able to
    /// read is of more use than none.
    pub fn choose(&self, offered: &[Coding]) -> Option<Coding> {
        let mut best = None;
        let mut best_weight = 0;
        for coding in offered {
            let weight = self.weight_of(*coding);
            if weight > best_weight {
                (best, best_weight) = (Some(*coding), weight);
            }
        }
        best.filter(|_| self.identity.is_none_or(|identity| identity <= best_weight))
    }

    /// The codings on offer that the client takes, the one it likes best first.
    pub fn ranked(&self, offered: &[Coding]) -> Vec<Coding> {
        let mut left = offered.to_vec();
        let mut ranked = Vec::new();
        while let Some(best) = self.choose(&left) {
            left.retain(|coding| *coding != best);
            ranked.push(best);
        }
        ranked
    }

    fn weight_of(&self, coding: Coding) -> Weight {
        self.codings[coding as usize].or(self.others).unwrap_or(0)
    }
}

/// The weight among a member's parameters; `None` if it is no weight.
fn weight<'a>(parameters: impl Iterator<Item = &'a [u8]>) -> Option<Weight> {
    let mut weight = 1_000;
    for parameter in parameters {
        if let [b'q' | b'Q', b'=', value @ ..] = parameter {
            weight = thousandths(value)?;
        }
    }
    Some(weight)
}

/// `0`, `1`, and up to three decimals, but nothing above one (RFC 9110, section 12.4.2).
fn thousandths(value: &[u8]) -> Option<Weight> {
    let (whole, decimals) = match value {
        [whole] => (whole, &[][..]),
        [whole, b'.', decimals @ ..] if decimals.len() <= 3 => (whole, decimals),
        _ => return None,
    };
    if !matches!(whole, b'0' | b'1') || !decimals.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |index: usize| decimals.get(index).map_or(0, |digit| Weight::from(digit - b'0'));
    let weight = Weight::from(whole - b'0') * 1_000 + digit(0) * 100 + digit(1) * 10 + digit(2);
    (weight <= 1_000).then_some(weight)
}
