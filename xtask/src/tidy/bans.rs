//! What may not be written, and the few places where it may.

use super::Finding;
use super::source::Source;

/// A word that is banned from Rust code outside the places named.
struct Ban {
    rule: &'static str,
    reason: &'static str,
    words: &'static [&'static str],
    /// Only files whose path starts with one of these are looked at; empty means all production code.
    within: &'static [&'static str],
    /// Files whose path starts with one of these are exempt.
    except: &'static [&'static str],
}

const BANS: &[Ban] = &[
    Ban {
        rule: "no-unsafe",
        reason: "no memory error is worth the speed here; a need for it is a decision in ARCHITECTURE.md first",
        words: &["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"],
        within: &["crates/", "xtask/"],
        except: &["xtask/src/tidy/"],
    },
    Ban {
        rule: "processes-in-one-place",
        reason: "what starts and kills processes must know how they end; only the supervisor does",
        words: &["Command::new", "kill_process", "start_kill(", ".kill()", "process::kill"],
        within: &[],
        except: &["crates/supervisor/src/process", "crates/supervisor/src/guard", "crates/supervisor/src/reexec"],
    },
    Ban {
        rule: "environment-in-config",
        reason: "a setting read elsewhere is missing from `plimsoll explain`",
        words: &["env::var", "env::set_var", "env::remove_var"],
        within: &[],
        except: &["crates/plimsoll/src/config"],
    },
    Ban {
        rule: "sql-in-few-places",
        reason: "statements are tested on every engine, which needs them to be found",
        words: &["\"SELECT ", "INSERT INTO ", "\"UPDATE ", "DELETE FROM ", "CREATE TABLE "],
        within: &[],
        except: &["crates/state/src/sqlite", "crates/db/src/", "crates/service/src/store", "crates/jobs/src/queue"],
    },
    Ban {
        rule: "policy-is-pure",
        reason: "a decision that does no input or output can be tested with a paused clock and mounted anywhere",
        words: &["TcpStream", "TcpListener", "UdpSocket", "UnixStream", "tokio::net", "std::fs", "tokio::fs", "File::"],
        within: &["crates/policy/src/"],
        except: &[],
    },
    Ban {
        rule: "queues-are-bounded",
        reason: "an unbounded queue turns overload into a crash; give it a capacity and refuse beyond",
        words: &["unbounded_channel", "UnboundedSender", "UnboundedReceiver", "mpsc::channel()", "channel::unbounded"],
        within: &[],
        except: &[],
    },
    Ban {
        rule: "tokio-clock",
        reason: "only tokio's clock can be paused in tests; pass the time in, or use tokio::time::Instant",
        words: &["std::time::Instant", "std::time::{Duration, Instant", "std::time::{Instant", "thread::sleep"],
        within: &[],
        except: &["crates/telemetry/src/log"],
    },
    Ban {
        rule: "no-leftovers",
        reason: "what is left from writing the code is not part of it",
        words: &["dbg!(", "todo!(", "unimplemented!("],
        within: &["crates/", "xtask/"],
        except: &["xtask/src/tidy/"],
    },
];

/// Every ban that this file breaks.
pub(super) fn check(source: &Source) -> Vec<Finding> {
    let mut findings = Vec::new();
    if source.extension() == "rs" {
        let bans = BANS.iter().filter(|ban| ban.applies_to(source));
        findings.extend(bans.flat_map(|ban| ban.findings(source)));
    }
    findings.extend(registry_hosts(source));
    findings.extend(unowned_work(source));
    findings
}

impl Ban {
    fn applies_to(&self, source: &Source) -> bool {
        let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| source.path.starts_with(prefix));
        let included = if self.within.is_empty() { source.is_production() } else { starts(self.within) };
        included && !starts(self.except)
    }

    fn findings(&self, source: &Source) -> Vec<Finding> {
        let hits = source.code().filter_map(|(line, code)| Some((line, self.words.iter().find(|word| code.contains(**word))?)));
        hits.map(|(line, word)| source.finding(self.rule, self.reason, line, format!("`{}` is not used here", word.trim()))).collect()
    }
}

/// The registries' hosts, in pieces: this file may not name them either.
const REGISTRY_HOSTS: &[&[&str]] = &[
    &["crates", "io"],
    &["pypi", "org"],
    &["pythonhosted", "org"],
    &["npmjs", "org"],
    &["deb", "debian", "org"],
    &["proxy", "golang", "org"],
];

fn registry_hosts(source: &Source) -> Vec<Finding> {
    // Cargo writes its registry's name into the lock file by itself.
    if source.name() == "Cargo.lock" {
        return Vec::new();
    }
    let hosts: Vec<String> = REGISTRY_HOSTS.iter().map(|labels| labels.join(".")).collect();
    let named = |line: &str| hosts.iter().find(|host| line.contains(host.as_str()));
    let hits = source.text.lines().enumerate().filter_map(|(index, line)| Some((index + 1, named(line)?)));
    let reason = "builds go through whatever mirror the machine is set up with; a host named here would bypass it";
    hits.map(|(line, host)| source.finding("no-registry-hosts", reason, line, format!("names {host}"))).collect()
}

/// Marks of unfinished work, which need an issue to be found again.
fn unowned_work(source: &Source) -> Vec<Finding> {
    if !["rs", "py", "js", "sh", "toml", "html", "css"].contains(&source.extension()) || source.path.starts_with("xtask/src/tidy/") {
        return Vec::new();
    }
    let unowned = |line: &str| ["TODO", "FIXME"].iter().any(|mark| line.contains(mark) && !line.contains(&format!("{mark}(#")));
    let hits = source.text.lines().enumerate().filter(|(_, line)| unowned(line));
    let reason = "write TODO(#issue), or do it now";
    hits.map(|(index, _)| source.finding("work-has-an-issue", reason, index + 1, "unfinished work without an issue".to_owned())).collect()
}
