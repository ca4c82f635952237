//! The whole server: the real `vllm serve` over HTTP, with its scheduler recorded and an open-loop client.
//!
//! # Threads, and what a profile must share with the server
//!
//! On processors `vllm serve` has three processes: the HTTP server, the engine core (scheduler), and a worker that
//! runs the model. The worker is bound to the processors that `VLLM_CPU_OMP_THREADS_BIND` names: by default one thread
//! for each core but the last, which stays free for the other two processes. An engine in the profiler's driver
//! (`VLLM_ENABLE_V1_MULTIPROCESSING=0`) has no worker process: the model runs in the engine's own process, unbound,
//! with as many threads as there are cores unless `OMP_NUM_THREADS` says otherwise. So step times of the one do not hold
//! for the other.
//!
//! With `--distributed-executor-backend mp` among the engine's flags the driver's engine has the same worker process
//! with the same threads as the server's: a profile that is to hold for `vllm serve` on processors is measured with it.
//! On a single GPU both run the model in the engine core's process. `verify-serve` prints what passes took in the server
//! beside what the profile says, so that a profile of another engine is seen at once.
//!
//! Where server, engine and client share two or three cores they also take time from each other, at random: on two cores
//! the passes of a saturated server took 6.5 % longer than those of the same engine alone. `taskset` keeps all but the
//! worker off a core, and `VLLM_CPU_OMP_THREADS_BIND` keeps the worker on it; `scripts/test-vllm.sh` measures profile and
//! server that way.
//!
//! # What the simulator does not know of a front end
//!
//! The HTTP server does one thing at a time, in the order in which it came: the simulator has that queue, with the work
//! that [`event_loop`] measures. What it does not know: asyncio takes turns between requests that came together, and the
//! server, the engine core and the client take time from each other where they share cores.

mod calibration;
mod client;
mod client_run;
pub(crate) mod compare;
mod event_loop;
mod front_end;
mod line_fit;
pub(crate) mod load;
mod pass_spread;
mod process;
mod recording;
pub(crate) mod session;
mod sse;
pub(crate) mod verify;
