//! Every seed and every case that a fuzzer ever found, once more: what was mended stays mended.

use std::fs;
use std::path::{Path, PathBuf};

use super::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The files of a folder and of those in it.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn replay(target: &str, run: fn(&[u8])) {
    let seeds = files(&root().join("fuzz/seeds").join(target));
    assert!(seeds.len() > 2, "{target} has hardly a seed");
    for path in seeds {
        println!("{}", path.display());
        run(&fs::read(&path).unwrap());
    }
}

type Target = (&'static str, fn(&[u8]));

#[test]
fn what_fuzzers_found_stays_mended() {
    let targets: [Target; 16] = [
        ("request_head", request_head),
        ("response_head", response_head),
        ("chunked", chunked),
        ("host", host),
        ("path", path),
        ("forwarded", forwarded),
        ("fields", fields),
        ("proxy_header", proxy_header),
        ("negotiation", negotiation),
        ("frames", frames),
        ("query", query),
        ("file_path", file_path),
        ("rewrite", rewrite),
        ("redirect", redirect),
        ("versions", versions),
        ("certificate", certificate),
    ];
    for (target, run) in targets {
        replay(target, run);
    }
}

/// The corpus of malformed requests is where fuzzing of heads begins.
#[test]
fn the_malformed_corpus_breaks_no_promise_of_a_parser() {
    for path in files(&root().join("crates/gateway/tests/corpus")) {
        println!("{}", path.display());
        let bytes = fs::read(&path).unwrap();
        request_head(&bytes);
        if let Some(head) = memchr::memmem::find(&bytes, b"\r\n\r\n") {
            chunked(&bytes[head + 4..]);
        }
    }
}
