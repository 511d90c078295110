//! Did you mean: the nearest of a few known words.

/// The known word that `word` was most likely meant to be, if any is near enough to say so.
pub fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = plain(word);
    let near = |candidate: &'a str| {
        let distance = distance(&word, &plain(candidate));
        (distance <= (word.chars().count() / 3).max(1)).then_some((distance, candidate))
    };
    known.into_iter().filter_map(near).min_by_key(|(distance, _)| *distance).map(|(_, candidate)| candidate)
}

/// Edits from one word to the other; swapped parts (`max_connections` for `connections_max`) count as nothing.
fn distance(word: &str, candidate: &str) -> usize {
    let direct = strsim::damerau_levenshtein(word, candidate);
    direct.min(strsim::damerau_levenshtein(&in_order(word), &in_order(candidate)))
}

fn plain(word: &str) -> String {
    word.to_ascii_lowercase().replace('-', "_")
}

fn in_order(word: &str) -> String {
    let mut parts: Vec<_> = word.split('_').collect();
    parts.sort_unstable();
    parts.join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_of_the_finger_and_swapped_parts_but_does_not_guess() {
        let known = ["port", "bind", "connections_max", "head_bytes_max"];
        assert_eq!(closest("prot", known), Some("port"));
        assert_eq!(closest("max_connections", known), Some("connections_max"));
        assert_eq!(closest("head-bytes-max", known), Some("head_bytes_max"));
        assert_eq!(closest("compression", known), None);
        assert_eq!(closest("", known), None);
    }
}
