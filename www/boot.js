// Starts the page: first its frame, which is alive as soon as it stands; then the form, and what answers. Each is fetched and compiled
// once, for the page and for its workers.
//
// What others may use:
//   globalThis.showPanic(message)   shows the overlay that stands outside the page; a panicked module must not be used
//                                   again, so reloading is the only way on. Rust's panic hook calls it.
//   "vllmsim:update" on window      a new version waits. `event.detail.apply()` switches to it and reloads: call it when
//                                   the user asks for it, never before.
//   "vllmsim:answered" on window     said by the page when it has its first answer and how far that may be off, or when
//                                   there will be none
//   "vllmsim:ready" on window       said by the page when its form is there, or will not come
//   "vllmsim:asked" on window       said by the page when it is asked something else than index.html answers
import { compiled, fetchPart, give } from "./parts.js";

/** The profile of a visit that asks for nothing: DEFAULT_PROFILE of web/src/gallery.rs. */
const EXAMPLE = "profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json";

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
  for (const root of [$("shell"), $("app")]) root?.setAttribute("inert", "");
  // They would still say that something is under way.
  for (const status of $("shell")?.querySelectorAll("[role=status]") ?? []) status.remove();
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
  // first-paint.js has found out.
  const isAsked = "asked" in document.documentElement.dataset;
  if (/[#&](v|z)=/.test(location.hash)) $("skeleton-status").textContent = "Simulating the linked run…";
  const [{ default: init, mount }, module] = await Promise.all([
    import("./pkg/web.js"),
    compiled(new URL("./pkg/web_bg.wasm", import.meta.url)),
  ]);
  const modules = { module, parts: {} };
  const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "simulation" });
  const { form, simulates } = fetchMore(modules, worker, isAsked);
  await init({ module_or_path: module });
  await nextTask();
  const answer = mount(modules, worker);
  // It would ask workers: they have what they need first.
  const file = form.then(() => part(answer));
  give({ [answer]: simulates.then(() => file) });
  takePlace(isAsked);
  // The form is there, or will not come.
  await ready;
  document.documentElement.dataset.ready = "";
}

/** The file of a part. One that does not come is fetched again by whoever needs it, who says so if it still does not. */
const part = (name) => fetchPart(name).catch(() => undefined);

/**
 * Fetches the form, and then what simulates. Workers find in `modules` what is there when they are started; the first hears of
 * it all at once.
 */
function fetchMore(modules, worker, isAsked) {
  const kept = (name) => part(name).then((file) => { modules.parts[name] = file; return file; });
  const form = kept("form");
  const profiles = form.then(() => {
    if (!isAsked) preload(EXAMPLE);
    return kept("profiles");
  });
  give({ form, profiles });
  const simulates = Promise.all([profiles, form.then(() => kept("simulator"))]);
  simulates.then(() => worker.postMessage({ ...modules, isFirst: true }));
  return { form, simulates };
}

/** The page's frame takes the shell's place; what stands in that stands in for what is still to come. */
function takePlace(isAsked) {
  const shell = $("shell");
  standIn(shell.querySelector(".panels"), $("settings"), ready);
  if (!isAsked) {
    const first = shell.querySelector(".first-answer");
    // What skips to the answer finds it.
    Object.assign(first.querySelector("h2"), { id: "load-title", tabIndex: -1 });
    // It stays until the page has the same itself, or is asked something else.
    standIn(first, $("answer-load"), Promise.race([answered, heard("vllmsim:asked")]));
  }
  shell.remove();
  $("app").classList.remove("coming");
  document.documentElement.dataset.alive = "";
}

/** `first` is seen in the place of `own`, which lays itself out unseen, until `until`. */
function standIn(first, own, until) {
  own.classList.add("coming");
  own.before(first);
  until.then(() => {
    first.remove();
    own.classList.remove("coming");
  });
}

/** Lets the thread do what else is to be done. */
const nextTask = () => new Promise((resolve) => setTimeout(resolve));

/** Asks for what the module will ask for when it is made. Not at the start: a browser complains of what lies there for long. */
function preload(url) {
  const link = Object.assign(document.createElement("link"), { rel: "preload", as: "fetch", href: url, crossOrigin: "" });
  document.head.append(link);
}

/** Keeps the page for use without a network. Not on the own machine: there the files are, and they change. */
async function keepOffline() {
  const ownMachine = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  if (!("serviceWorker" in navigator) || ownMachine) return;
  // What is kept is fetched again, and the first answer needs the line first.
  await answeredWithin(10_000);
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

const heard = (name) => new Promise((resolve) => addEventListener(name, resolve, { once: true }));
const answered = heard("vllmsim:answered");
const ready = heard("vllmsim:ready");
const answeredWithin = (ms) => Promise.race([answered, new Promise((resolve) => setTimeout(resolve, ms))]);
start().catch(showStartFailure).then(keepOffline).catch((error) => console.warn("no offline copy:", error));
