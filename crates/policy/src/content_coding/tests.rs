use proptest::prelude::*;

use super::Coding::{Brotli, Gzip, Zstd};
use super::*;

fn chosen(field: &str) -> Option<Coding> {
    Accepted::read([field.as_bytes()]).choose(&Coding::ALL)
}

#[test]
fn the_client_gets_what_it_likes_best_of_what_there_is() {
    let cases = [
        // As real clients ask.
        ("gzip, deflate, br, zstd", Some(Zstd)),
        ("gzip, deflate, br", Some(Brotli)),
        ("gzip, deflate", Some(Gzip)),
        ("deflate, gzip, br, zstd", Some(Zstd)),
        ("identity", None),
        ("", None),
        (" , ,", None),
        ("deflate", None),
        ("*", Some(Zstd)),
        // Weights come before our order, and our order before that of the field.
        ("gzip;q=1.0, br;q=0.9, zstd;q=0.8", Some(Gzip)),
        ("gzip;q=0.5, br;q=0.5", Some(Brotli)),
        ("br;q=0.001", Some(Brotli)),
        ("gzip;q=0.999, br;q=0.998", Some(Gzip)),
        // Not at all.
        ("zstd;q=0, br, gzip", Some(Brotli)),
        ("gzip;q=0", None),
        ("gzip;q=0.000, br;q=0.", None),
        ("*;q=0", None),
        ("*;q=0, gzip", Some(Gzip)),
        ("gzip;q=0, *", Some(Zstd)),
        ("zstd;q=0, br;q=0, *;q=0.1", Some(Gzip)),
        ("gzip;q=0.2, *;q=0.7", Some(Zstd)),
        // No coding is a choice as well.
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.5, gzip;q=0.5", Some(Gzip)),
        ("identity;q=0.5, gzip;q=0.4", None),
        ("identity;q=0, gzip;q=0.1", Some(Gzip)),
        ("identity;q=0", None),
        // Spelling.
        ("GZIP", Some(Gzip)),
        ("x-gzip", Some(Gzip)),
        ("  br ; Q=0.3 , gzip;q=0.2", Some(Brotli)),
        ("br;level=4;q=0.3, gzip;q=0.4", Some(Gzip)),
        ("gzip;q=1.000", Some(Gzip)),
        // What is no weight is no wish.
        ("br;q=2, gzip;q=0.1", Some(Gzip)),
        ("br;q=1.001, gzip", Some(Gzip)),
        ("br;q=0.1234, gzip", Some(Gzip)),
        ("br;q=-1, gzip", Some(Gzip)),
        ("br;q=, gzip", Some(Gzip)),
        ("br;q=0.x, gzip", Some(Gzip)),
        ("brotli, zstandard, gzip2", None),
        // Twice: the lesser.
        ("gzip, gzip;q=0", None),
        ("gzip;q=0, x-gzip", None),
    ];
    for (field, expected) in cases {
        assert_eq!(chosen(field), expected, "Accept-Encoding: {field}");
    }
}

#[test]
fn a_client_that_says_nothing_gets_no_coding() {
    assert_eq!(Accepted::read([]).choose(&Coding::ALL), None);
}

#[test]
fn several_fields_are_one_list() {
    let accepted = Accepted::read([&b"gzip;q=0.5"[..], b"br;q=0.6"]);
    assert_eq!(accepted.choose(&Coding::ALL), Some(Brotli));
    assert_eq!(accepted.choose(&[Gzip]), Some(Gzip));
    assert_eq!(accepted.choose(&[]), None);
    assert_eq!(accepted.ranked(&Coding::ALL), [Brotli, Gzip]);
}

proptest! {
    #[test]
    fn nobody_gets_what_it_refuses(
        weights in prop::array::uniform3(prop::option::of(0_u16..=3)),
        rest in prop::option::of(0_u16..=3),
        offered in prop::sample::subsequence(Coding::ALL.to_vec(), 0..=3).prop_shuffle(),
    ) {
        let named = Coding::ALL.into_iter().zip(weights).filter_map(|(coding, weight)| Some((coding.token(), weight?)));
        let members: Vec<_> = named.chain(rest.map(|weight| ("*", weight))).map(|(token, weight)| format!("{token};q=0.{weight}")).collect();
        let weight = |coding: Coding| weights[coding as usize].or(rest).unwrap_or(0);
        match Accepted::read([members.join(", ").as_bytes()]).choose(&offered) {
            Some(coding) => {
                prop_assert!(weight(coding) > 0 && offered.contains(&coding));
                let first_of_the_best = offered.iter().max_by_key(|each| weight(**each)).map(|best| weight(*best));
                prop_assert_eq!(Some(weight(coding)), first_of_the_best);
                let before = offered.iter().take_while(|each| **each != coding);
                prop_assert!(before.into_iter().all(|each| weight(*each) < weight(coding)), "not the first among equals");
            }
            None => prop_assert!(offered.iter().all(|coding| weight(*coding) == 0)),
        }
    }

    #[test]
    fn any_bytes_can_be_read(field in prop::collection::vec(any::<u8>(), 0..80)) {
        let _ = Accepted::read([&field[..]]).choose(&Coding::ALL);
    }
}
