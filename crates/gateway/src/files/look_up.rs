//! What there is for a request, beneath a directory. Runs where it may block.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use plimsoll_policy::content_coding::Coding;
use rustix::fd::OwnedFd;

use super::body::FileBody;
use super::open;
use super::path::Wanted;
use super::validators::FileState;
use crate::message::ResponseBody;

/// A file of up to this size is read where it is opened: one visit to another thread instead of two.
const SMALL_BYTES_MAX: u64 = 64 * 1024;

pub(super) enum Found {
    File(Served),
    /// A directory with an index, named without its slash.
    Directory,
    Nothing,
}

/// A file that is to be served.
pub(super) struct Served {
    /// Of the file that was asked for, whatever coding it is in.
    pub(super) path: PathBuf,
    pub(super) state: FileState,
    pub(super) coding: Option<Coding>,
    /// Another client could get it in another coding.
    pub(super) varies: bool,
    pub(super) contents: Contents,
}

pub(super) enum Contents {
    /// Nobody will read it.
    Unread,
    Small(Bytes),
    Open(File),
}

impl Served {
    pub(super) fn length(&self) -> u64 {
        self.state.length
    }
}

impl Contents {
    /// The bytes from `first` up to, and without, `end`.
    pub(super) fn part(self, first: u64, end: u64) -> ResponseBody {
        match self {
            _ if first == end => ResponseBody::Empty,
            Self::Unread => ResponseBody::Empty,
            Self::Small(bytes) => ResponseBody::Full(bytes.slice(first as usize..end as usize)),
            Self::Open(file) => ResponseBody::Stream(Box::new(FileBody::new(file, first, end))),
        }
    }
}

/// `variants`: the codings that the client takes, the best first; none if this kind of file is not coded. `reads`: the content will be sent.
pub(super) fn find(directory: &Path, wanted: &Wanted, variants: Option<Vec<Coding>>, reads: bool) -> io::Result<Found> {
    let directory = open::directory(directory)?;
    let path = wanted.file();
    let Some(file) = open::beneath(&directory, &path)? else { return Ok(Found::Nothing) };
    let metadata = file.metadata()?;
    if metadata.is_dir() && !wanted.is_directory {
        let has_index = open::beneath(&directory, &wanted.index())?.is_some();
        return Ok(if has_index { Found::Directory } else { Found::Nothing });
    }
    if !metadata.is_file() {
        return Ok(Found::Nothing);
    }
    let plain = FileState::of(&metadata);
    let varies = variants.is_some();
    let variant = variant(&directory, &path, &plain, variants.unwrap_or_default())?;
    let (file, state, coding) = variant.map_or((file, plain, None), |(file, state, coding)| (file, state, Some(coding)));
    let contents = match state.length {
        _ if !reads => Contents::Unread,
        0..=SMALL_BYTES_MAX => Contents::Small(read(&file, state.length)?),
        _ => Contents::Open(file),
    };
    Ok(Found::File(Served { path, state, coding, varies, contents }))
}

/// The file beside this one that holds it in the best of these codings. One that is older is of an earlier build.
fn variant(directory: &OwnedFd, path: &Path, plain: &FileState, codings: Vec<Coding>) -> io::Result<Option<(File, FileState, Coding)>> {
    for coding in codings {
        let mut name = path.as_os_str().to_owned();
        name.push(".");
        name.push(coding.extension());
        let Some(file) = open::beneath(directory, Path::new(&name))? else { continue };
        let metadata = file.metadata()?;
        let state = FileState::of(&metadata);
        if metadata.is_file() && state.modified >= plain.modified {
            return Ok(Some((file, state, coding)));
        }
    }
    Ok(None)
}

fn read(file: &File, length: u64) -> io::Result<Bytes> {
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes.into())
}
