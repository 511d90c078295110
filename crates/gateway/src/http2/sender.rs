//! One answer's body on its way onto its stream.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use h2::{Reason as H2Reason, SendStream};

use super::room::Share;
use crate::alarm::Alarm;
use crate::journey::Journey;
use crate::message::{Frame, ResponseBody};
use crate::pace::Meter;

/// Moves a body onto a stream as fast as the client opens its window.
pub(super) struct Sender {
    stream: SendStream<Bytes>,
    share: Share,
    /// Made when the client lets wait for the first time: most never do.
    alarm: Option<Alarm>,
    pace: Meter,
    pending: Bytes,
    write_idle: Duration,
}

impl Sender {
    pub(super) fn new(stream: SendStream<Bytes>, share: Share, pace: Meter, write_idle: Duration) -> Self {
        Self { stream, share, alarm: None, pace, pending: Bytes::new(), write_idle }
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>, body: &mut ResponseBody, journey: &mut Journey) -> Poll<Result<(), ()>> {
        loop {
            while !self.pending.is_empty() {
                ready!(self.poll_send_pending(cx, body, journey))?;
                if body.is_over() && self.pending.is_empty() {
                    return Poll::Ready(Ok(()));
                }
            }
            body.read_at_most(self.share.fetches());
            match body.poll_frame(cx) {
                Poll::Ready(Some(Ok(Frame::Data(data)))) => {
                    self.pending = data;
                    self.share.holds(self.pending.len());
                    self.stream.reserve_capacity(self.pending.len());
                }
                Poll::Ready(Some(Ok(Frame::Trailers(trailers)))) => {
                    return Poll::Ready(self.stream.send_trailers(trailers).map_err(|_| ()));
                }
                Poll::Ready(None) => return Poll::Ready(self.stream.send_data(Bytes::new(), true).map_err(|_| ())),
                Poll::Ready(Some(Err(error))) => {
                    journey.note(format!("the answer broke off: {error}"));
                    self.stream.send_reset(H2Reason::INTERNAL_ERROR);
                    return Poll::Ready(Err(()));
                }
                Poll::Pending => return self.stream.poll_reset(cx).map(|_| Err(())),
            }
        }
    }

    fn poll_send_pending(&mut self, cx: &mut Context<'_>, body: &mut ResponseBody, journey: &mut Journey) -> Poll<Result<(), ()>> {
        match self.poll_capacity(cx) {
            Poll::Ready(Some(Ok(capacity))) => {
                let data = self.pending.split_to(capacity.min(self.pending.len()));
                self.share.holds(self.pending.len());
                self.share.queued(data.len());
                self.pace.moved(data.len() as u64);
                if let Some(alarm) = &mut self.alarm {
                    alarm.off();
                }
                journey.bytes_out += data.len() as u64;
                let is_last = self.pending.is_empty() && body.is_over();
                Poll::Ready(self.stream.send_data(data, is_last).map_err(|_| ()))
            }
            Poll::Ready(_) => Poll::Ready(Err(())),
            Poll::Pending => {
                body.keep_sending(cx);
                let alarm = self.alarm.get_or_insert_with(Alarm::new);
                if !alarm.is_set() {
                    if self.pace.waits().is_err() {
                        return self.give_up(journey, "the client took its answer too slowly");
                    }
                    alarm.set_after(self.write_idle);
                }
                ready!(alarm.poll(cx));
                self.give_up(journey, "the client accepted nothing for too long")
            }
        }
    }

    /// How much the client's windows let through, once there is room for more.
    fn poll_capacity(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<usize, h2::Error>>> {
        if self.share.poll_room(cx).is_ready() {
            return self.stream.poll_capacity(cx);
        }
        // A client that has lost interest is listened to meanwhile.
        self.stream.poll_reset(cx).map(|_| None)
    }

    fn give_up(&mut self, journey: &mut Journey, cause: &str) -> Poll<Result<(), ()>> {
        journey.note(cause.to_owned());
        self.stream.send_reset(H2Reason::CANCEL);
        Poll::Ready(Err(()))
    }
}
