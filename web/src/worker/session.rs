//! The worker's memory and its answers: one reply to each request.

use sim_core::simulator::SimulationOptions;

use super::export::export;
use super::fleet::Fleets;
use super::gantt;
use super::range::range;
use super::read::read;
use super::rows::{Order, rows};
pub(crate) use super::run::Host;
use super::run::{FinishedRun, OTHER_PART};
use super::trial::Setups;
#[cfg(test)]
use crate::protocol::Part;
use crate::protocol::{Reply, Request};

/// What is kept between messages: the last run that succeeded.
#[derive(Debug, Default)]
pub(crate) struct Session {
    last: Option<FinishedRun>,
    order: Order,
    setups: Setups,
}

impl Session {
    /// Does what `request` asks. A fault leaves the last run as it was.
    #[cfg(test)]
    pub(crate) fn handle(&mut self, request: Request, host: &mut dyn Host) -> Reply {
        let id = request.id();
        let handle = match request.part() {
            Part::Simulator => simulate,
            Part::Fleets => simulate_fleet,
            Part::Reader => read_file,
            Part::Files => export_file,
        };
        handle(self, request, host).unwrap_or_else(|message| Reply::Fault { id, message })
    }
}

/// Runs of one engine, and what is asked about the last one.
///
/// # Errors
/// A message: what is wrong, and where to look.
pub(crate) fn simulate(session: &mut Session, request: Request, host: &mut dyn Host) -> Result<Reply, String> {
    answer(session, request, None, host)
}

/// The same of several engines.
///
/// # Errors
/// As [`simulate`].
pub(crate) fn simulate_fleet(session: &mut Session, request: Request, host: &mut dyn Host) -> Result<Reply, String> {
    answer(session, request, Some(Fleets::whole()), host)
}

fn answer(
    session: &mut Session,
    request: Request,
    fleets: Option<Fleets>,
    host: &mut dyn Host,
) -> Result<Reply, String> {
    match request {
        Request::Run { id, input } => {
            let run = FinishedRun::new(input, SimulationOptions::default(), fleets, host)?;
            let answer = Box::new(run.answer());
            (session.last, session.order) = (Some(run), Order::default());
            Ok(Reply::Answer { id, answer })
        }
        Request::Requests { id, sort_by, descending, offset, limit } => {
            let run = session.last.as_ref().ok_or(NO_RUN)?;
            let (recording, goodput) = (&run.result.recording, &run.options.goodput);
            let rows = rows(recording, goodput, &mut session.order, (&sort_by, descending), (offset, limit))?;
            Ok(Reply::Requests { id, rows })
        }
        Request::Gantt { id, range, width, max_requests, engine } => {
            let run = session.last.as_ref().ok_or(NO_RUN)?;
            let recording = &run.result.recording;
            let window = match &run.several {
                Some(several) => several.window(recording, engine, range, (width, max_requests))?,
                None => gantt::window(recording, range, width, max_requests)?,
            };
            Ok(Reply::Gantt { id, window: Box::new(window) })
        }
        Request::Range { id, input } => Ok(Reply::Range { id, range: Box::new(range(&input, host)?) }),
        Request::Try { id, setup, asked, trying } => {
            Ok(Reply::Tried { id, tried: session.setups.tried(fleets, setup, asked, trying)? })
        }
        Request::Export { .. } | Request::Read { .. } => Err(OTHER_PART.to_owned()),
    }
}

/// A file of the last run.
///
/// # Errors
/// A message: what is wrong, and where to look.
pub(crate) fn export_file(session: &mut Session, request: Request, host: &mut dyn Host) -> Result<Reply, String> {
    let Request::Export { id, kind, date, range } = request else { return Err(OTHER_PART.to_owned()) };
    let file = export(session.last.as_ref().ok_or(NO_RUN)?, kind, (&date, range), host)?;
    let media_type = file.media_type.to_owned();
    Ok(Reply::Export { id, file_name: file.name, media_type, content: file.content })
}

/// What a file is good for.
///
/// # Errors
/// A message: what is wrong, and where to look.
pub(crate) fn read_file(_: &mut Session, request: Request, _: &mut dyn Host) -> Result<Reply, String> {
    let Request::Read { id, name, content } = request else { return Err(OTHER_PART.to_owned()) };
    let found = read(&name, &content).map_err(|fault| format!("{name}: {fault}"))?;
    Ok(Reply::Found { id, name, found })
}

/// Rows, stretches and files are of a run.
const NO_RUN: &str = "nothing has been run yet";
