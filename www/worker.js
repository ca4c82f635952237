// The simulation's side: the page's own module, with a memory of its own.
//
// One message: { module, parts, isFirst }, the compiled module, parts of it, and whether this worker is the page's first, on
// whose account the browser is to compile what simulates for speed; workers share that. Every other is [id, part, request] and goes
// to `answer`, in order, once that is there; a part that did not load is told by [id, why]. What cannot be handled reaches the page as the
// worker's "error" event, with the panic's text where there is one.
import { give } from "./parts.js";
import init, { answer, warmUp } from "./pkg/web.js";

let panic;

// Rust's panic hook calls this; the trap that follows says only "unreachable".
globalThis.showPanic = (message) => {
  panic = String(message);
};

async function start({ module, parts, isFirst }) {
  give(parts);
  await init({ module_or_path: module });
  if (isFirst) await warmUp().catch((error) => console.info("not warmed up:", error));
}

const post = (value, transfer) => postMessage(value, transfer ?? []);

async function handle([id, part, request]) {
  try {
    await answer(part, post, request);
  } catch (error) {
    // Why a part is missing is a text; anything else is a fault.
    if (typeof error !== "string") throw error;
    postMessage([id, error]);
  }
}

// Requests may be there before that message, which waits for what is fetched.
let begin;
let last = new Promise((resolve) => { begin = resolve; }).then(start).catch(fail);

function fail(error) {
  reportError(panic === undefined ? error : new Error(panic));
}

onmessage = ({ data }) => {
  if (Array.isArray(data)) last = last.then(() => handle(data)).catch(fail);
  else begin(data);
};
