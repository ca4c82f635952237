//! Many runs at once: a pool of workers, as `profiler`'s `many.rs` has cores. Results come in the order in which the runs
//! were asked for, and each is that of its run alone: they are the same with any number of workers.

mod batch;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeSet, VecDeque};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use leptos::prelude::{set_timeout, window};
use wasm_bindgen::JsValue;

pub(crate) use self::batch::Stopped;
use self::batch::{Batch, all_or_first_fault};
use crate::files;
use crate::protocol::{Asked, Reply, Request, Tried, Trying};
use crate::simulation::{next_id, wasm_module};
use crate::worker::trial::MOST_SETUPS;
use crate::worker_handle::WorkerHandle;

/// Fewest and most workers; between them as many as there are cores.
const NUM_WORKERS: (usize, usize) = (2, 8);

/// How long a run that nobody wants may go on. A new worker takes about as long to start.
const PATIENCE: Duration = Duration::from_millis(150);

/// What many runs are made of, with a number by which workers know it.
pub(crate) struct Setup {
    number: u32,
    asked: Box<dyn Fn() -> Asked>,
}

impl Setup {
    /// A new one; `asked` is called for each worker that is told of it.
    pub(crate) fn new(asked: impl Fn() -> Asked + 'static) -> Rc<Self> {
        Rc::new(Self { number: next_id(), asked: Box::new(asked) })
    }
}

/// Whether somebody still wants runs. Handles of one wish end together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wish(Rc<Cell<bool>>);

impl Wish {
    /// Ends the runs: those that wait are not made, and a worker that goes on for long is ended.
    pub(crate) fn give_up(&self) {
        if !self.0.replace(true) {
            let dropped = POOL.with_borrow_mut(Pool::drop_unwanted);
            for order in dropped {
                order.batch.borrow_mut().give_up();
            }
            set_timeout(|| POOL.with_borrow_mut(Pool::end_unwanted), PATIENCE);
        }
    }

    /// Whether it was given up.
    pub(crate) fn is_given_up(&self) -> bool {
        self.0.get()
    }
}

/// A run that is waiting or under way.
#[derive(Clone)]
struct Order {
    batch: Rc<RefCell<Batch>>,
    place: usize,
    setup: Rc<Setup>,
    trying: Trying,
    wish: Wish,
    heard: Rc<dyn Fn(&Tried)>,
}

/// A worker, what it has been told, and what it does.
struct Seat {
    handle: WorkerHandle,
    knows: BTreeSet<u32>,
    busy: Option<(u32, Order)>,
}

#[derive(Default)]
struct Pool {
    seats: Vec<Seat>,
    waiting: VecDeque<Order>,
}

thread_local! {
    static POOL: RefCell<Pool> = RefCell::default();
}

/// As many workers as the machine has cores, within limits. Storage and network are not theirs, so more would only wait.
fn most_workers() -> usize {
    let cores = sim_core::math::f64_to_u32(window().navigator().hardware_concurrency());
    sim_core::math::u32_to_usize(cores).clamp(NUM_WORKERS.0, NUM_WORKERS.1)
}

/// Makes `runs` of one setup; `heard` is told of each as it ends, in any order.
///
/// # Errors
/// [`Stopped`].
pub(crate) async fn tried(
    setup: &Rc<Setup>,
    runs: &[Trying],
    wish: &Wish,
    heard: Rc<dyn Fn(&Tried)>,
) -> Result<Vec<Tried>, Stopped> {
    let runs: Vec<(Rc<Setup>, Trying)> = runs.iter().map(|&trying| (setup.clone(), trying)).collect();
    each_tried(&runs, wish, heard).await.and_then(all_or_first_fault)
}

/// Makes `runs`, each of its setup, and says of each what comes of it; `heard` is told of each that can be made as it
/// ends, in any order.
///
/// # Errors
/// [`Stopped`], of what is no fault of a run.
pub(crate) async fn each_tried(
    runs: &[(Rc<Setup>, Trying)],
    wish: &Wish,
    heard: Rc<dyn Fn(&Tried)>,
) -> Result<Vec<Result<Tried, String>>, Stopped> {
    if wish.is_given_up() {
        return Err(Stopped::GivenUp);
    }
    let batch = Rc::new(RefCell::new(Batch::new(runs.len())));
    let order = |(place, (setup, trying)): (usize, &(Rc<Setup>, Trying))| Order {
        batch: batch.clone(),
        place,
        setup: setup.clone(),
        trying: *trying,
        wish: wish.clone(),
        heard: heard.clone(),
    };
    let orders: Vec<Order> = runs.iter().enumerate().map(order).collect();
    let started = POOL.with_borrow_mut(|pool| {
        pool.waiting.extend(orders);
        pool.hand_out()
    });
    started.map_err(|error| Stopped::Fault(format!("workers cannot be started: {}", files::message(&error))))?;
    poll_fn(|context| batch.borrow_mut().outcome(context.waker()).map_or(Poll::Pending, Poll::Ready)).await
}

impl Pool {
    /// Gives waiting runs to workers that have nothing to do; more are started while there are fewer than cores.
    fn hand_out(&mut self) -> Result<(), JsValue> {
        while !self.waiting.is_empty() {
            let place = match self.seats.iter().position(|seat| seat.busy.is_none()) {
                Some(place) => place,
                None if self.seats.len() < most_workers() => {
                    self.seats.push(Seat::new(self.seats.len())?);
                    self.seats.len() - 1
                }
                None => return Ok(()),
            };
            if let (Some(seat), Some(order)) = (self.seats.get_mut(place), self.waiting.pop_front()) {
                seat.begin(order);
            }
        }
        Ok(())
    }

    /// Takes what nobody wants out of the queue; what is under way of it is returned, too.
    fn drop_unwanted(&mut self) -> Vec<Order> {
        let (unwanted, wanted): (VecDeque<Order>, _) =
            self.waiting.drain(..).partition(|order| order.wish.is_given_up());
        self.waiting = wanted;
        let busy = self.seats.iter().filter_map(|seat| seat.busy.as_ref());
        let under_way = busy.map(|(_, order)| order).filter(|order| order.wish.is_given_up()).cloned();
        unwanted.into_iter().chain(under_way).collect()
    }

    /// Ends workers that still do what nobody wants; others take their places.
    fn end_unwanted(&mut self) {
        for seat in &mut self.seats {
            if seat.busy.as_ref().is_some_and(|(_, order)| order.wish.is_given_up()) {
                seat.restart();
            }
        }
        // If no worker can be started, whoever asks next is told.
        self.hand_out().ok();
    }

    /// What the worker at `place` was doing, if its number is `id` or that does not matter.
    fn end_of(&mut self, place: usize, id: Option<u32>) -> Option<Order> {
        let seat = self.seats.get_mut(place)?;
        let is_it = |(busy, _): &mut (u32, Order)| id.is_none_or(|id| id == *busy);
        seat.busy.take_if(is_it).map(|(_, order)| order)
    }
}

impl Seat {
    fn new(place: usize) -> Result<Self, JsValue> {
        let handle =
            WorkerHandle::new(wasm_module(), None, move |reply| hear(place, reply), move |fault| died(place, &fault))?;
        Ok(Self { handle, knows: BTreeSet::new(), busy: None })
    }

    fn begin(&mut self, order: Order) {
        let (id, setup) = (next_id(), order.setup.number);
        let asked = self.knows.insert(setup).then(|| (order.setup.asked)());
        while self.knows.len() > MOST_SETUPS {
            self.knows.pop_first();
        }
        match self.handle.post(Request::Try { id, setup, asked, trying: order.trying }) {
            Ok(()) => self.busy = Some((id, order)),
            Err(error) => {
                let fault = format!("a worker cannot be asked: {}", files::message(&error));
                order.batch.borrow_mut().take(order.place, Err(fault));
            }
        }
    }

    fn restart(&mut self) {
        self.busy = None;
        self.knows.clear();
        // The next run that is given to it says so.
        self.handle.restart().ok();
    }
}

fn hear(place: usize, reply: Reply) {
    let (id, result) = match reply {
        Reply::Tried { id, tried } => (id, Ok(tried)),
        Reply::Fault { id, message } => (id, Err(message)),
        // It is asked for nothing else.
        _ => return,
    };
    let order = POOL.with_borrow_mut(|pool| {
        let order = pool.end_of(place, Some(id));
        // Another run first: the worker need not wait for what the page makes of this one.
        pool.hand_out().ok();
        order
    });
    if let Some(order) = order {
        take(&order, result);
    }
}

/// The worker at `place` came to an end by a fault of its own.
fn died(place: usize, fault: &str) {
    let order = POOL.with_borrow_mut(|pool| {
        let order = pool.end_of(place, None);
        if let Some(seat) = pool.seats.get_mut(place) {
            seat.restart();
        }
        pool.hand_out().ok();
        order
    });
    if let Some(order) = order {
        take(&order, Err(format!("The simulation stopped: {fault}. This is a fault of ours.")));
    }
}

fn take(order: &Order, result: Result<Tried, String>) {
    if order.wish.is_given_up() {
        return;
    }
    if let Ok(tried) = &result {
        (order.heard)(tried);
    }
    order.batch.borrow_mut().take(order.place, result);
}
