//! What is counted of HTTP/2's frames.

use std::time::Duration;

use tokio::time::Instant;

use crate::http2::Allowance;

/// Frames as they are counted, after the preface. What is seen of them does not depend on where reads end, and a flood is one whose frames cost
/// more than the allowance.
pub fn frames(data: &[u8]) {
    let began = Instant::now();
    let [mut whole, mut piecemeal] = [(); 2].map(|()| Allowance::begun());
    whole.read(data);
    for piece in data.chunks(1 + data.len() % 11) {
        piecemeal.read(piece);
    }
    // After a second the allowance comes back.
    if began.elapsed() < Duration::from_secs(1) {
        assert_eq!(whole.is_used_up(), piecemeal.is_used_up());
        assert_eq!(whole.is_used_up(), is_flood(data));
    }
    let was_used_up = whole.is_used_up();
    whole.wrote(usize::MAX);
    assert_eq!(whole.is_used_up(), was_used_up, "what is too much stays too much");
}

/// Whether the frames of some bytes are too many for one moment, by another reading of them.
fn is_flood(mut bytes: &[u8]) -> bool {
    let mut left = Allowance::BYTES;
    while let [one, two, three, kind, _, _, _, _, _, rest @ ..] = bytes {
        let length = u32::from_be_bytes([0, *one, *two, *three]);
        match left.checked_sub(Allowance::cost(*kind, length)) {
            Some(less) => left = less,
            None => return true,
        }
        bytes = rest.get(length as usize..).unwrap_or_default();
    }
    false
}
