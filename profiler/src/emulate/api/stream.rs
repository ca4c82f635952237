//! The body of a streamed answer: written when the connection asks for more, of what has come by then.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Bytes;
use hyper::body::{Body, Frame};

use super::super::reply::Progress;
use super::answer::UnderWay;

/// Tokens as they come.
#[derive(Debug)]
pub(super) struct StreamBody {
    under_way: UnderWay,
    told: Vec<Progress>,
    /// What was told before; kept so as not to ask for memory with each message.
    before: Vec<Progress>,
    has_ended: bool,
}

impl StreamBody {
    /// Nothing told yet.
    pub(super) fn new(under_way: UnderWay) -> Self {
        let told = vec![Progress::default(); under_way.chunks.choices.len()];
        Self { under_way, before: told.clone(), told, has_ended: false }
    }
}

impl Body for StreamBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let Self { under_way, told, before, has_ended } = &mut *self;
        before.clone_from(told);
        let due = ready!(under_way.reply.poll_news(context, told));
        if let Some(due) = due {
            under_way.state.lateness.note(due.elapsed());
        }
        let mut out = String::with_capacity(512);
        for (choice, (before, now)) in before.iter().zip(told.iter()).enumerate() {
            if before != now {
                under_way.chunks.write(&mut out, &under_way.state.served.tokens.filler, choice, (*before, *now));
            }
        }
        if told.iter().all(|progress| progress.finished.is_some()) {
            under_way.chunks.write_end(&mut out, told, under_way.state.tells_cached_tokens);
            under_way.end();
            *has_ended = true;
        }
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(out)))))
    }
}
