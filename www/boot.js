// Starts the page: the module and what simulates are fetched and compiled once, for the page and for its workers.
//
// What others may use:
//   globalThis.showPanic(message)   shows the overlay that stands outside the page; a panicked module must not be used
//                                   again, so reloading is the only way on. Rust's panic hook calls it.
//   "vllmsim:update" on window      a new version waits. `event.detail.apply()` switches to it and reloads: call it when
//                                   the user asks for it, never before.
//   "vllmsim:answered" on window     said by the page when the first answer is shown, or when there will be none
import { compiled, fetchPart } from "./parts.js";

const $ = (id) => document.getElementById(id);
let shown = false;

/** Shows what went wrong, once: what follows the first fault is its consequence. */
function showFailure(title, what, detail) {
  if (shown) return;
  shown = true;
  $("failure-title").textContent = title;
  $("failure-what").textContent = what;
  $("failure-report").textContent =
    [`vLLM Simulator: ${title}`, detail, `Page: ${location.href}`, `Browser: ${navigator.userAgent}`].join("\n\n");
  $("failure-reload").onclick = () => location.reload();
  $("failure-copy").onclick = copyReport;
  $("skeleton-status")?.remove(); // It would still say that something is simulated.
  $("app").inert = true;
  $("failure").hidden = false;
  $("failure-reload").focus();
}

async function copyReport() {
  try {
    await navigator.clipboard.writeText($("failure-report").textContent);
    $("failure-copied").textContent = "Copied.";
  } catch {
    // No clipboard without https or permission: select it, so that the user's own copy takes it.
    getSelection().selectAllChildren($("failure-report"));
    $("failure-copied").textContent = "Selected: copy it with your keyboard.";
  }
}

globalThis.showPanic = (message) =>
  showFailure("The page stopped", "A fault in the simulator's own code, not in your input. Your settings are in the address.", String(message));

function showStartFailure(error) {
  const what = globalThis.WebAssembly
    ? "A part of the page is missing or did not load. If you are offline, try again with a connection."
    : "This browser has no WebAssembly, which the simulator is made of.";
  showFailure("The page could not start", what, String(error?.stack ?? error));
}

async function start() {
  if (/[#&](v|z)=/.test(location.hash)) $("skeleton-status").textContent = "Simulating the linked run…";
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "simulation" });
  const [{ default: init, mount }, module, simulator] = await Promise.all([
    import("./pkg/web.js"),
    compiled(new URL("./pkg/web_bg.wasm", import.meta.url)),
    fetchPart("simulator"),
  ]);
  const modules = { module, parts: { simulator } };
  worker.postMessage(modules);
  await init({ module_or_path: module });
  $("app").replaceChildren();
  mount(modules, worker);
  document.documentElement.dataset.ready = "";
}

/** Keeps the page for use without a network. Not on the own machine: there the files are, and they change. */
async function keepOffline() {
  const ownMachine = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  if (!("serviceWorker" in navigator) || ownMachine) return;
  // What is kept is fetched again, and the first answer needs the line first.
  await answered;
  const registration = await navigator.serviceWorker.register(new URL("./service-worker.js", import.meta.url), {
    updateViaCache: "none",
  });
  const announce = () => {
    const { waiting } = registration;
    // Without a controller this is the first visit, and there is nothing older to replace.
    if (!waiting || !navigator.serviceWorker.controller) return;
    const apply = () => {
      navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
      waiting.postMessage("activate");
    };
    dispatchEvent(new CustomEvent("vllmsim:update", { detail: { apply } }));
  };
  announce();
  registration.addEventListener("updatefound", () => {
    const { installing } = registration;
    installing?.addEventListener("statechange", () => installing.state === "installed" && announce());
  });
}

const answered = new Promise((resolve) => {
  addEventListener("vllmsim:answered", resolve, { once: true });
  setTimeout(resolve, 10_000);
});
start().catch(showStartFailure).then(keepOffline).catch((error) => console.warn("no offline copy:", error));
