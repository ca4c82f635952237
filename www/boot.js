// Starts the page: the module is fetched and compiled once, for the page and for its worker.
//
// What others may use:
//   globalThis.showPanic(message)   shows the overlay that stands outside the page; a panicked module must not be used
//                                   again, so reloading is the only way on. Rust's panic hook calls it.
//   "vllmsim:update" on window      a new version waits. `event.detail.apply()` switches to it and reloads: call it when
//                                   the user asks for it, never before.

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

async function compiled(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  // Some hosts serve Wasm under another type, which the streaming compiler refuses.
  return response.headers.get("content-type")?.startsWith("application/wasm")
    ? WebAssembly.compileStreaming(response)
    : WebAssembly.compile(await response.arrayBuffer());
}

async function start() {
  if (/[#&](v|z)=/.test(location.hash)) $("skeleton-status").textContent = "Simulating the linked run…";
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "simulation" });
  const [{ default: init, mount }, module] = await Promise.all([
    import("./pkg/web.js"),
    compiled(new URL("./pkg/web_bg.wasm", import.meta.url)),
  ]);
  worker.postMessage({ module });
  await init({ module_or_path: module });
  $("app").replaceChildren();
  mount(module, worker);
  document.documentElement.dataset.ready = "";
}

/** Keeps the page for use without a network. Not on the own machine: there the files are, and they change. */
async function keepOffline() {
  const ownMachine = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  if (!("serviceWorker" in navigator) || ownMachine) return;
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

start().catch(showStartFailure).then(keepOffline).catch((error) => console.warn("no offline copy:", error));
