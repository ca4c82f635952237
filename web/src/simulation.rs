//! The page's conversation with its workers: what runs, what was asked, what was heard.

use std::cell::RefCell;
use std::sync::Arc;

use leptos::prelude::*;
use sim_core::scenario::{DatasetName, Scenario};
use wasm_bindgen::JsValue;
use web_sys::Worker;

use crate::answer::Answer;
use crate::files;
use crate::making::check_whole;
use crate::protocol::{ExportKind, Reply, Request, RunInput};
use crate::state::{AppState, DatasetFile, Making, NoticeKind, ProfileChoice, Run, RunState, Source};
use crate::worker_handle::WorkerHandle;

/// Runs that took less wall-clock time than this start by themselves after an edit.
const QUICK_RUN_MS: f64 = 500.0;

/// And so do runs of so many requests: what was slow about one of them was the machine, for a moment.
const FEW_REQUESTS: u32 = 2_000;

/// What the page holds that is no signal.
#[derive(Default)]
struct Links {
    /// Simulates.
    simulator: Option<WorkerHandle>,
    /// Reads files, so that a long run does not hold them up.
    reader: Option<WorkerHandle>,
    module: JsValue,
    /// Started with the page, and not listened to yet.
    first: Option<Worker>,
    /// Number of the last message.
    last_id: u32,
    /// Number and input of the run under way.
    under_way: Option<(u32, Pending)>,
    /// What the last finished run was made from.
    last_input: Option<RunInput>,
    /// The worker that knew the last run was ended.
    is_run_lost: bool,
    /// Files that the reader has not answered about.
    unread: Vec<(u32, Vec<u8>)>,
    /// The form changed while a run was under way.
    is_rerun_wanted: bool,
    /// A run was asked for while its profile was made.
    is_run_wanted: bool,
}

/// What a run under way is made from.
struct Pending {
    scenario: Scenario,
    profile: ProfileChoice,
    dataset: Option<DatasetFile>,
    input: RunInput,
}

thread_local! {
    static LINKS: RefCell<Links> = RefCell::default();
}

/// A number for a message or a notice.
pub(crate) fn next_id() -> u32 {
    LINKS.with_borrow_mut(|links| {
        links.last_id = links.last_id.wrapping_add(1);
        links.last_id
    })
}

/// The file that a message to the reader was about.
fn take_unread(id: u32) -> Vec<u8> {
    LINKS.with_borrow_mut(|links| {
        let place = links.unread.iter().position(|(unread, _)| *unread == id);
        place.map(|place| links.unread.swap_remove(place).1).unwrap_or_default()
    })
}

/// Keeps the compiled module, and the worker that was started with the page until it is asked for the first time.
pub(crate) fn keep_module(module: JsValue, worker: Worker) {
    LINKS.with_borrow_mut(|links| {
        links.module = module;
        links.first = Some(worker);
    });
}

/// The compiled module, for another worker.
pub(crate) fn wasm_module() -> JsValue {
    LINKS.with_borrow(|links| links.module.clone())
}

/// What the last run that was done was made from.
pub(crate) fn last_input() -> Option<RunInput> {
    LINKS.with_borrow(|links| links.last_input.clone())
}

/// Whether the run of another form would be there soon, too.
fn is_quick(answer: &Answer) -> bool {
    answer.wall_ms < QUICK_RUN_MS || answer.num_requests <= FEW_REQUESTS
}

impl AppState {
    /// Takes over the worker that was started with the page. Nothing of the frame may come here: all that a worker says would be
    /// part of it.
    fn connect(self) -> Result<(), JsValue> {
        LINKS.with_borrow_mut(|links| {
            if links.simulator.is_none() {
                let worker = links.first.take();
                links.simulator = Some(self.new_handle(links.module.clone(), worker)?);
            }
            Ok(())
        })
    }

    fn new_handle(self, module: JsValue, worker: Option<Worker>) -> Result<WorkerHandle, JsValue> {
        WorkerHandle::new(module, worker, move |reply| self.hear(reply), move |fault| self.worker_died(fault))
    }

    /// Whether there is an answer, or something that says why there is none. Followed.
    pub(crate) fn is_answered(self) -> bool {
        self.current.with(Option::is_some)
            || self.run_state.with(|run| matches!(run, RunState::Failed(_)))
            || self.making.with(|making| matches!(making, Making::Failed { .. }))
    }

    /// Starts a run of what stands in the form; one under way is given up. While the profile is made, the run waits for it.
    pub(crate) fn run(self) {
        if !self.is_made.get_untracked() {
            LINKS.with_borrow_mut(|links| links.is_run_wanted = true);
            return self.make();
        }
        self.edit(move |editing| (editing.run)(self));
    }

    /// The same, where the profile is there.
    pub(crate) fn begin_run(self) {
        if let Err(error) = self.connect() {
            let told = format!("The worker cannot be used: {}", files::message(&error));
            return self.run_state.set(RunState::Failed(told));
        }
        if LINKS.with_borrow(|links| links.under_way.is_some()) {
            self.stop_worker();
        }
        leptos::task::spawn_local(async move { self.start_run().await });
    }

    /// Starts a run if runs are quick, or lets the results stand as stale.
    pub(crate) fn run_if_quick(self) {
        if !self.is_made.get_untracked() {
            return;
        }
        let is_wanted = LINKS.with_borrow_mut(|links| std::mem::take(&mut links.is_run_wanted));
        let is_quick =
            is_wanted || self.current.with_untracked(|run| run.as_ref().is_none_or(|run| is_quick(&run.answer)));
        let is_busy = LINKS.with_borrow_mut(|links| {
            links.is_rerun_wanted |= links.under_way.is_some();
            links.under_way.is_some()
        });
        if !is_busy && !self.is_stale.get_untracked() {
            // The form is back at what the results were made from: what went wrong since then is past.
            self.run_state.set(RunState::Idle);
        } else if is_quick && !is_busy {
            self.run();
        }
    }

    async fn start_run(self) {
        let Some(profile) = self.profile.get_untracked() else { return };
        let scenario = self.scenario.get_untracked();
        let is_whole = self.source.get_untracked() == Source::Whole;
        // Ranks of a model with experts would have these in common: the list says which models have.
        if is_whole
            && scenario.value_of("data-parallel-size").is_some()
            && let Err(fault) = self.fetch_list().await
        {
            return self.run_state.set(RunState::Failed(fault));
        }
        if is_whole && let Err(error) = check_whole(&scenario, &profile.profile) {
            return self.run_state.set(RunState::Failed(error));
        }
        let dataset = self.dataset_of(&scenario);
        let input = match input_of(&scenario, &profile, dataset.as_ref()).await {
            Ok(input) => input,
            Err(fault) => return self.run_state.set(RunState::Failed(fault)),
        };
        let id = next_id();
        let run = Pending { scenario, profile, dataset, input: input.clone() };
        LINKS.with_borrow_mut(|links| {
            links.under_way = Some((id, run));
            links.is_rerun_wanted = false;
        });
        self.run_state.set(RunState::Running { done: 0, total: 0, sim_time: 0.0 });
        self.ask(Request::Run { id, input });
    }

    /// The dataset's file, where `scenario` needs one of the user's own.
    pub(crate) fn dataset_of(self, scenario: &Scenario) -> Option<DatasetFile> {
        self.dataset.get_untracked().filter(|_| scenario.workload().dataset_name().needs_file())
    }

    /// Stops the run under way; the results of the one before stay.
    pub(crate) fn cancel(self) {
        self.edit(move |editing| (editing.cancel)(self));
    }

    pub(crate) fn stop_run(self) {
        if LINKS.with_borrow(|links| links.under_way.is_some()) {
            self.stop_worker();
            self.run_state.set(RunState::Cancelled);
        }
    }

    /// A worker cannot be told to stop while it computes: it is ended and another takes its place.
    fn stop_worker(self) {
        let restarted = LINKS.with_borrow_mut(|links| {
            links.under_way = None;
            links.is_rerun_wanted = false;
            links.is_run_lost = true;
            links.simulator.as_mut().map_or(Ok(()), WorkerHandle::restart)
        });
        if let Err(error) = restarted {
            self.notify(NoticeKind::Error, &format!("the worker cannot be started: {}", files::message(&error)));
        }
    }

    fn worker_died(self, fault: String) {
        let was_running = LINKS.with_borrow(|links| links.under_way.is_some());
        self.stop_worker();
        let text =
            format!("The simulation stopped: {fault}. This is a fault of ours; the link in the address repeats it.");
        if was_running {
            self.run_state.set(RunState::Failed(text));
        } else {
            self.notify(NoticeKind::Error, &text);
        }
    }

    fn ask(self, request: Request) {
        let posted = LINKS.with_borrow(|links| links.simulator.as_ref().map(|worker| worker.post(request)));
        if let Some(Err(error)) = posted {
            self.notify(NoticeKind::Error, &format!("the worker cannot be asked: {}", files::message(&error)));
        }
    }

    /// Asks about the last run, which a new worker has to repeat first: the answer to that is nobody's.
    fn ask_about_run(self, request: Request) {
        let lost = LINKS.with_borrow_mut(|links| {
            let is_lost = links.under_way.is_none() && std::mem::take(&mut links.is_run_lost);
            links.last_input.clone().filter(|_| is_lost)
        });
        if let Some(input) = lost {
            self.ask(Request::Run { id: next_id(), input });
        }
        self.ask(request);
    }

    /// Lets the reader see what was dropped; it answers by [`Reply::Found`].
    pub(crate) fn ask_reader(self, name: String, content: Vec<u8>) {
        let asked = LINKS.with_borrow_mut(|links| {
            if links.reader.is_none() {
                links.reader = Some(self.new_handle(links.module.clone(), None)?);
            }
            links.last_id = links.last_id.wrapping_add(1);
            let id = links.last_id;
            links.unread.push((id, content.clone()));
            links.reader.as_ref().map_or(Ok(()), |reader| reader.post(Request::Read { id, name, content }))
        });
        if let Err(error) = asked {
            self.notify(NoticeKind::Error, &format!("the file cannot be read: {}", files::message(&error)));
        }
    }

    fn hear(self, reply: Reply) {
        let is_under_way =
            |id: u32| LINKS.with_borrow(|links| links.under_way.as_ref().is_some_and(|(current, _)| *current == id));
        match reply {
            Reply::Progress { id, done, total, sim_time } if is_under_way(id) => {
                self.run_state.set(RunState::Running { done, total, sim_time });
            }
            Reply::Answer { id, answer } if is_under_way(id) => self.finish_run(Arc::new(*answer)),
            Reply::Fault { id, message } if is_under_way(id) => {
                let is_rerun_wanted = LINKS.with_borrow_mut(|links| {
                    links.under_way = None;
                    std::mem::take(&mut links.is_rerun_wanted)
                });
                self.run_state.set(RunState::Failed(message));
                if is_rerun_wanted {
                    self.run_if_quick();
                }
            }
            Reply::Fault { id, message } => {
                take_unread(id);
                self.notify(NoticeKind::Error, &message);
            }
            Reply::Requests { rows, .. } => self.rows.set(Arc::new(rows)),
            Reply::Gantt { window, .. } => self.gantt.set(Some(Arc::new(*window))),
            Reply::Export { file_name, media_type, content, .. } => {
                if let Err(error) = files::download(&file_name, &media_type, &content) {
                    self.notify(NoticeKind::Error, &format!("{file_name}: {}", files::message(&error)));
                }
            }
            Reply::Found { id, name, found } => self.open_found(name, found, take_unread(id)),
            // Of a run that was given up; ranges have a worker of their own, and many runs a pool.
            Reply::Progress { .. } | Reply::Answer { .. } | Reply::Range { .. } | Reply::Tried { .. } => {}
        }
    }

    fn finish_run(self, answer: Arc<Answer>) {
        let (run, is_rerun_wanted) = LINKS.with_borrow_mut(|links| {
            (links.under_way.take().map(|(_, run)| run), std::mem::take(&mut links.is_rerun_wanted))
        });
        let Some(run) = run else { return };
        self.run_state.set(RunState::Idle);
        self.range.set(None);
        self.gantt.set(None);
        self.rows.set(Arc::default());
        let Pending { scenario, profile, dataset, input } = run;
        LINKS.with_borrow_mut(|links| {
            links.last_input = Some(input);
            links.is_run_lost = false;
        });
        self.current.set(Some(Run { answer, scenario, profile, dataset }));
        self.ask_range();
        if is_rerun_wanted {
            self.run_if_quick();
        }
    }

    /// Asks for rows of the request table; they come as [`AppState::rows`].
    pub(crate) fn ask_rows(self, sort_by: &str, descending: bool, offset: u32, limit: u32) {
        self.ask_about_run(Request::Requests { id: next_id(), sort_by: sort_by.to_owned(), descending, offset, limit });
    }

    /// Asks for a stretch of the run, of several engines of one; it comes as [`AppState::gantt`].
    pub(crate) fn ask_gantt(self, range: Option<(f64, f64)>, (width, max_requests): (u32, u32), engine: u32) {
        self.ask_about_run(Request::Gantt { id: next_id(), range, width, max_requests, engine });
    }

    /// Asks for a file of the last run, which is then downloaded.
    pub(crate) fn export(self, kind: ExportKind) {
        let range = self.known_range().map(|known| known.range.clone());
        self.ask_about_run(Request::Export { id: next_id(), kind, date: date(), range });
    }
}

/// All that runs of `scenario` need; the site's own dataset is fetched.
pub(crate) async fn input_of(
    scenario: &Scenario,
    profile: &ProfileChoice,
    dataset: Option<&DatasetFile>,
) -> Result<RunInput, String> {
    let workload = scenario.workload();
    let is_sites = workload.dataset_name() == DatasetName::Azure && workload.dataset_path.is_none();
    let dataset = match dataset {
        Some(file) => Some(file.content.to_vec()),
        None if is_sites => Some(files::fetch("datasets/azure_llm_2023_conv_first_1000.csv").await?),
        None => None,
    };
    let is_of_lockstep = profile.is_of_lockstep;
    let (profile_name, profile) = (profile.name.clone(), profile.file.to_vec());
    Ok(RunInput { flags: scenario.flags(), profile_name, profile, is_of_lockstep, dataset })
}

/// Now, as `vllm bench serve` writes it: `YYYYmmdd-HHMMSS`.
fn date() -> String {
    let now = js_sys::Date::new_0();
    format!(
        "{:04}{:02}{:02}-{:02}{:02}{:02}",
        now.get_full_year(),
        now.get_month() + 1,
        now.get_date(),
        now.get_hours(),
        now.get_minutes(),
        now.get_seconds()
    )
}
