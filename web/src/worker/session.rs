//! The worker's memory and its answers: one reply to each request.

use sim_core::simulator::SimulationOptions;

use super::export::export;
use super::gantt;
use super::range::range;
use super::read::read;
use super::rows::{Order, rows};
use super::run::FinishedRun;
pub(crate) use super::run::Host;
use crate::protocol::{Reply, Request};

/// What is kept between messages: the last run that succeeded.
#[derive(Debug, Default)]
pub(crate) struct Session {
    last: Option<FinishedRun>,
    order: Order,
}

impl Request {
    /// The number that every reply to this message has.
    #[must_use]
    pub(crate) const fn id(&self) -> u32 {
        match self {
            Self::Run { id, .. }
            | Self::Requests { id, .. }
            | Self::Gantt { id, .. }
            | Self::Export { id, .. }
            | Self::Range { id, .. }
            | Self::Read { id, .. } => *id,
        }
    }
}

impl Session {
    /// Does what `request` asks. A fault leaves the last run as it was.
    pub(crate) fn handle(&mut self, request: Request, host: &mut dyn Host) -> Reply {
        let id = request.id();
        self.reply(request, host).unwrap_or_else(|message| Reply::Fault { id, message })
    }

    fn reply(&mut self, request: Request, host: &mut dyn Host) -> Result<Reply, String> {
        match request {
            Request::Run { id, input } => {
                let run = FinishedRun::new(input, SimulationOptions::default(), host)?;
                let answer = Box::new(run.answer());
                (self.last, self.order) = (Some(run), Order::default());
                Ok(Reply::Answer { id, answer })
            }
            Request::Requests { id, sort_by, descending, offset, limit } => {
                let run = self.last.as_ref().ok_or(NO_RUN)?;
                let (recording, goodput) = (&run.result.recording, &run.options.goodput);
                let rows = rows(recording, goodput, &mut self.order, (&sort_by, descending), (offset, limit))?;
                Ok(Reply::Requests { id, rows })
            }
            Request::Gantt { id, range, width, max_requests } => {
                let run = self.last.as_ref().ok_or(NO_RUN)?;
                let window = Box::new(gantt::window(&run.result.recording, range, width, max_requests)?);
                Ok(Reply::Gantt { id, window })
            }
            Request::Range { id, input } => Ok(Reply::Range { id, range: Box::new(range(&input, host)?) }),
            Request::Export { id, kind, date, range } => {
                let file = export(self.last.as_ref().ok_or(NO_RUN)?, kind, (&date, range), host)?;
                let media_type = file.media_type.to_owned();
                Ok(Reply::Export { id, file_name: file.name, media_type, content: file.content })
            }
            Request::Read { id, name, content } => {
                let found = read(&name, &content).map_err(|fault| format!("{name}: {fault}"))?;
                Ok(Reply::Found { id, name, found })
            }
        }
    }
}

/// Rows, stretches and files are of a run.
const NO_RUN: &str = "nothing has been run yet";
