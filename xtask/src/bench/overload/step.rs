//! A sudden step from below the limit to beyond it: how long until goodput is back.

use std::fmt::Write as _;

use anyhow::Result;

use super::super::recording::{Recording, Stage};
use super::bench::{Bench, Label};
use super::peer::Peer;

/// Where each step ends, in multiples of the limit.
const STEPS: [f64; 2] = [1.4, 10.0];
const BEFORE: f64 = 0.7;
/// Goodput is counted in pieces this long.
const SLICE_SECONDS: f64 = 0.1;
const SLICES_BEFORE: usize = 10;
const SLICES_AFTER: usize = 60;
/// A piece holds a few dozen requests, and Poisson arrivals vary: recovered means that a second from there on was good.
const SLICES_PER_SECOND: usize = 10;
const RECOVERED: f64 = 0.95;
/// By then it is as it stays.
const KEPT_FROM_SLICE: usize = 30;

pub(super) fn plan(bench: &mut Bench) {
    let seconds = bench.lengths.warm_up + (SLICES_BEFORE + SLICES_AFTER) as f64 * SLICE_SECONDS;
    bench.plan(bench.apps.len() * STEPS.len() * peers(bench).len(), seconds);
}

/// Whoever keeps no goodput at all has no step response to show.
fn peers(bench: &Bench) -> Vec<Peer> {
    let limits = |peer: &Peer| matches!(peer, Peer::NginxLimitConn | Peer::NginxLimitReq | Peer::HaproxyMaxconn | Peer::Plimsoll);
    bench.peers.iter().copied().filter(limits).collect()
}

pub(super) fn run(bench: &mut Bench) -> Result<String> {
    let mut text = "Goodput counted in tenths of a second by when requests were due. Back: from when on the next second, and all \
        the time from there on, had at least 95 % of the limit, or of what was kept from 3 s to 6 s after the step.\n\n\
        | app | peer | step | back at the limit | back at what is kept | worst 0.5 s | kept, of the limit |\n|---|---|---|--:|--:|--:|--:|\n"
        .to_owned();
    for app in bench.apps.clone() {
        let limit = bench.limit(app)?;
        for (peer, to) in peers(bench).into_iter().flat_map(|peer| STEPS.map(|to| (peer, to))) {
            let mut stages = vec![(limit * BEFORE, bench.lengths.warm_up)];
            stages.extend(vec![(limit * BEFORE, SLICE_SECONDS); SLICES_BEFORE]);
            stages.extend(vec![(limit * to, SLICE_SECONDS); SLICES_AFTER]);
            let after = 1 + SLICES_BEFORE;
            let what = format!("step {BEFORE}x to {to}x");
            let (_, recording) = bench.measure(app, peer, &what, after, &stages)?;
            for (slice, stage) in recording.stages.iter().enumerate().skip(1) {
                let ms = (slice as f64 - after as f64) * SLICE_SECONDS * 1e3;
                let label = Label { part: "slice", app: app.name(), peer: peer.name(), what: &format!("{what} at {ms:.0} ms") };
                bench.record(label, stage, &recording, None);
            }
            let response = Response::of(&recording, after, limit);
            let _ = writeln!(text, "| {} | {} | {BEFORE}× → {to}× | {response} |", app.name(), peer.name());
        }
    }
    Ok(text)
}

/// How goodput went after the step, as shares of the limit.
struct Response {
    back_at_limit_s: Option<f64>,
    back_at_kept_s: Option<f64>,
    worst: f64,
    kept: f64,
}

impl Response {
    fn of(recording: &Recording, after: usize, limit: f64) -> Self {
        let goodput: Vec<f64> = recording.stages.iter().skip(after).map(Stage::goodput).collect();
        Self::of_slices(&goodput, limit)
    }

    /// `slices` holds the goodput of each tenth of a second from the step on: at least one second of it.
    fn of_slices(slices: &[f64], limit: f64) -> Self {
        let share = |slices: &[f64]| slices.iter().sum::<f64>() / slices.len().max(1) as f64 / limit;
        let kept = share(&slices[slices.len().min(KEPT_FROM_SLICE)..]);
        let back = |wanted: f64| {
            let is_good = |slices: &[f64]| share(slices) >= RECOVERED * wanted;
            let lasts = |slice: &usize| is_good(&slices[*slice..slice + SLICES_PER_SECOND]) && is_good(&slices[*slice..]);
            let slice = (0..=slices.len().saturating_sub(SLICES_PER_SECOND)).find(lasts);
            slice.map(|slice| slice as f64 * SLICE_SECONDS)
        };
        let worst = slices.windows(SLICES_PER_SECOND / 2).map(share).fold(f64::INFINITY, f64::min);
        Self { back_at_limit_s: back(1.0), back_at_kept_s: back(kept), worst, kept }
    }
}

impl std::fmt::Display for Response {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let after = |back: Option<f64>| back.map_or_else(|| "never".to_owned(), |seconds| format!("{seconds:.1} s"));
        let (limit, kept) = (after(self.back_at_limit_s), after(self.back_at_kept_s));
        write!(formatter, "{limit} | {kept} | {:.0} % | {:.0} %", 100.0 * self.worst, 100.0 * self.kept)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dip_that_comes_later_is_not_recovery() {
        let dip_from =
            |dip: usize| -> Vec<f64> { (0..60).map(|slice| if (dip..dip + 10).contains(&slice) { 0.0 } else { 100.0 }).collect() };
        let at_once = Response::of_slices(&[100.0; 60], 100.0);
        assert_eq!((at_once.back_at_limit_s, at_once.worst, at_once.kept), (Some(0.0), 1.0, 1.0));
        // Ten tenths without any goodput begin at once, or a second after the step.
        for dip in [0, 10] {
            let dipped = Response::of_slices(&dip_from(dip), 100.0);
            let back = dipped.back_at_limit_s.unwrap();
            let ends = (dip + 10) as f64 * SLICE_SECONDS;
            assert!((back - ends).abs() < 0.11 && dipped.worst == 0.0, "back after {back} s");
        }
        assert_eq!(Response::of_slices(&[80.0; 60], 100.0).back_at_limit_s, None);
        assert_eq!(Response::of_slices(&[80.0; 60], 100.0).back_at_kept_s, Some(0.0));
    }
}
