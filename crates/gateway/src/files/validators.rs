//! What tells one state of a file from another. Pure.
//!
//! The tag is the length and the time of the last change of the file's inode (`ctime`): every write moves that, and so does whatever sets the
//! modification time back, as archives, image builders and `rsync --times` do. The kernel's clock has a grain, so a file that changed just now may
//! change once more without a trace: until two seconds have passed its tag is weak and it has no `Last-Modified`. After that both are strong
//! (RFC 9110, section 8.8), and ranges can rely on them. Hosts that serve copies of a file have different tags for it; that costs a transfer, where
//! tags made of modification times would cost a stale page.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use plimsoll_policy::conditional::Validators;
use plimsoll_policy::content_coding::Coding;

/// The coarsest grain of any file system in use is two seconds.
const GRAIN: Duration = Duration::from_secs(2);
/// Builds that are meant to be reproducible set all times to some point before this: 0, 1, or the first that ZIP knows. It says nothing.
const FIRST_HONEST_TIME: Duration = Duration::from_hours(11 * 365 * 24);

/// What is known of a file's state.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileState {
    pub(super) length: u64,
    pub(super) modified: SystemTime,
    pub(super) changed: SystemTime,
}

impl FileState {
    pub(super) fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            length: metadata.len(),
            modified: time(metadata.mtime(), metadata.mtime_nsec()),
            changed: time(metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// A time as the kernel writes it. One before 1970 is as meaningless as 1970.
fn time(seconds: i64, nanoseconds: i64) -> SystemTime {
    UNIX_EPOCH + Duration::new(seconds.try_into().unwrap_or(0), nanoseconds.try_into().unwrap_or(0))
}

/// The fields, as they are sent.
#[derive(Debug)]
pub(super) struct State {
    pub(super) etag: String,
    last_modified: Option<SystemTime>,
    pub(super) last_modified_text: Option<String>,
}

impl State {
    pub(super) fn as_validators(&self) -> Validators<'_> {
        Validators { etag: Some(self.etag.as_bytes()), last_modified: self.last_modified }
    }
}

/// The validators of a file in this state, in this coding, at this time.
pub(super) fn of(state: &FileState, coding: Option<Coding>, now: SystemTime) -> State {
    let since_epoch = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let is_settled = |time: SystemTime| now.duration_since(time).is_ok_and(|age| age >= GRAIN);
    let weak = if is_settled(state.changed) { "" } else { "W/" };
    let coding = coding.map_or("", Coding::token);
    let etag = format!("{weak}\"{:x}-{:x}{coding}\"", state.length, since_epoch(state.changed).as_nanos());
    let seconds = since_epoch(state.modified).as_secs();
    let is_honest = seconds >= FIRST_HONEST_TIME.as_secs() && is_settled(state.changed) && is_settled(state.modified);
    let last_modified = is_honest.then(|| UNIX_EPOCH + Duration::from_secs(seconds));
    State { etag, last_modified, last_modified_text: last_modified.map(httpdate::fmt_http_date) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn file() -> FileState {
        FileState { length: 255, modified: at(784_111_777), changed: at(1_000_000_000) }
    }

    #[test]
    fn a_file_at_rest_has_strong_validators() {
        let state = of(&file(), None, at(1_000_000_002));
        assert_eq!(state.etag, "\"ff-de0b6b3a7640000\"");
        assert_eq!(state.last_modified_text.as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
        assert_eq!(state.as_validators().last_modified, Some(at(784_111_777)));
    }

    #[test]
    fn a_file_that_has_just_changed_has_weak_ones() {
        for now in [at(1_000_000_000), at(1_000_000_001), at(999_999_999), at(0)] {
            let state = of(&file(), None, now);
            assert_eq!(state.etag, "W/\"ff-de0b6b3a7640000\"");
            assert_eq!(state.last_modified_text, None);
        }
    }

    #[test]
    fn every_difference_shows() {
        let now = at(2_000_000_000);
        let tag = |state: FileState, coding| of(&state, coding, now).etag;
        let tags = [
            tag(file(), None),
            tag(FileState { length: 254, ..file() }, None),
            tag(FileState { changed: file().changed + Duration::from_nanos(1), ..file() }, None),
            tag(file(), Some(Coding::Gzip)),
            tag(file(), Some(Coding::Brotli)),
        ];
        for (index, one) in tags.iter().enumerate() {
            assert!(!tags[..index].contains(one), "{tags:?}");
        }
    }

    #[test]
    fn a_time_that_says_nothing_is_not_passed_on() {
        let now = at(2_000_000_000);
        for modified in [at(0), at(1), at(315_532_800), now, now - SECOND, now + 100 * SECOND] {
            assert_eq!(of(&FileState { modified, ..file() }, None, now).last_modified_text, None, "{modified:?}");
        }
    }
}
