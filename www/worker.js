// The simulation's side: the page's own module, with a memory of its own.
//
// First message: { module }, the compiled module. Every later one goes to WorkerSide.handle, in order. What cannot be
// handled reaches the page as the worker's "error" event, with the panic's text where there is one.
import init, { WorkerSide } from "./pkg/web.js";

let side;
let panic;

// Rust's panic hook calls this; the trap that follows says only "unreachable".
globalThis.showPanic = (message) => {
  panic = String(message);
};

async function start({ module }) {
  await init({ module_or_path: module });
  return new WorkerSide((value, transfer) => postMessage(value, transfer ?? []));
}

onmessage = async ({ data }) => {
  try {
    if (side) (await side).handle(data);
    else await (side = start(data));
  } catch (error) {
    reportError(panic === undefined ? error : new Error(panic));
  }
};
