//! The whole server: the real `vllm serve` over HTTP, with its scheduler recorded and an open-loop client.
//!
//! # Threads, and what a profile must share with the server
//!
//! On processors `vllm serve` has three processes: the HTTP server, the engine core (scheduler), and a worker that
//! runs the model. The worker is bound to `VLLM_CPU_OMP_THREADS_BIND`'s processors: by default one thread for each
//! core but the last, which stays free for the other two. An engine in the profiler's driver
//! (`VLLM_ENABLE_V1_MULTIPROCESSING=0`) has no worker process: the model runs in the engine's own process with as many
//! threads as there are cores, unless `OMP_NUM_THREADS` says otherwise. So step times of the one do not hold for the
//! other: of a model of a million parameters a pass of 8 requests took 2.2 to 2.5 ms either way on two idle-enough cores,
//! and 6.6 ms with threads that wait for each other where others computed, too. With `--distributed-executor-backend mp` among the engine's flags the driver's engine has the same worker
//! process with the same threads as the server's; a profile that is to hold for `vllm serve` is measured with it. On
//! GPUs with one device both run the model in the engine core's process.

mod calibration;
mod client;
pub(crate) mod compare;
mod front_end;
mod line_fit;
pub(crate) mod load;
mod process;
mod recording;
pub(crate) mod session;
mod sse;
pub(crate) mod verify;
