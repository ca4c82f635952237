// Not a test: which tasks hold the page's thread for long, and with what, while somebody uses it: opens the page, edits a field,
// runs, asks the other questions, drops a profile.
//
//   node tests/e2e/long-tasks.mjs [MS [TIMES]]    tasks of more than MS (50) of computing are listed, the processor being TIMES (1)
//                                                 slower than it is; CHROMIUM as for the tests; the page must be built
//
// Of each task two times are said: `wall` is how long it held the thread, other programs' share of the processor included; `cpu`
// is what the thread computed meanwhile, and hardly depends on what else the machine does. What Chromium's own observers saw
// goes by the first, and comes last.
import { readFileSync } from "node:fs";
import { loadavg } from "node:os";
import { chromium } from "playwright-core";
import { answered, drop, edit, fileOf, finished, told } from "./app.mjs";
import { ARGUMENTS, DESKTOP, WWW } from "./browser.mjs";
import { serve } from "./server.mjs";

const LIMIT_MS = Number(process.argv[2] ?? 50);
const SLOWER = Number(process.argv[3] ?? 1);
const CATEGORIES = ["toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline", "blink.user_timing", "v8", "v8.wasm", "disabled-by-default-v8.compile", "loading"];

/** What somebody does, in order. */
const STEPS = {
  open: async (page, url) => {
    await page.goto(url);
    await page.locator("html[data-ready]").waitFor({ state: "attached" });
    await answered(page);
  },
  "edit a field": async (page) => {
    await edit(page, "max-num-seqs", "64");
    await answered(page);
  },
  "what if": async (page) => {
    await page.getByTestId("ask-what-if").click();
    await finished(page);
    await page.getByTestId("over-time").waitFor();
  },
  run: async (page) => {
    await page.getByTestId("run").click();
    await page.waitForTimeout(1500);
    await finished(page);
  },
  "edit, with results": async (page) => {
    await edit(page, "request-rate", "12");
    await page.waitForTimeout(500);
    await finished(page);
  },
  "which flags": async (page) => {
    await page.getByTestId("ask-flags").click();
    await page.getByTestId("flags-title").or(page.locator("#flags-title")).waitFor();
  },
  "which GPU": async (page) => {
    await page.getByTestId("ask-gpu").click();
    await page.locator("#gpu-title").waitFor();
  },
  "drop a profile": async (page) => {
    await drop(page, ["mine.json", fileOf("www/profiles/amd-epyc-2-cores_llama-30m_bf16.json")]);
    await told(page, "as a profile");
  },
  "what if, on it": async (page) => {
    await page.getByTestId("ask-what-if").click();
    await finished(page);
  },
};

const server = await serve(process.env.WWW ?? WWW);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGUMENTS });
const page = await (await browser.newContext({ viewport: DESKTOP })).newPage();
await page.addInitScript(() => {
  globalThis.longTasks = [];
  for (const type of ["longtask", "long-animation-frame"]) {
    if (!PerformanceObserver.supportedEntryTypes.includes(type)) continue;
    new PerformanceObserver((list) => globalThis.longTasks.push(...list.getEntries().map((entry) => [
      type, entry.startTime, entry.duration, (entry.scripts ?? []).map((script) => `${script.invoker} ${script.duration.toFixed(0)} ms`).join(", "),
    ]))).observe({ type, buffered: true });
  }
});
if (SLOWER > 1) await (await page.context().newCDPSession(page)).send("Emulation.setCPUThrottlingRate", { rate: SLOWER });
const trace = `${process.env.TMPDIR ?? "/tmp"}/long-tasks-trace.json`;
await browser.startTracing(page, { categories: CATEGORIES, path: trace });
const done = [];
for (const [step, act] of Object.entries(STEPS)) {
  await act(page, server.url);
  // What follows from it is part of it.
  await page.waitForTimeout(700);
  await page.evaluate((step) => performance.mark(`after ${step}`), step);
  done.push(step);
}
const observed = await page.evaluate(() => globalThis.longTasks);
await browser.stopTracing();
await browser.close();
await server.close();

const { traceEvents } = JSON.parse(readFileSync(trace));
const marks = traceEvents.filter(({ name, cat }) => cat === "blink.user_timing" && name.startsWith("after "));
const { pid, tid } = marks[0];
const own = traceEvents.filter((event) => event.pid === pid && event.tid === tid && event.ph === "X");
const tasks = [];
for (const task of own.filter(({ name }) => name.endsWith("RunTask")).sort((a, b) => a.ts - b.ts || b.dur - a.dur)) {
  // The same task is told by several names, one inside the other.
  const before = tasks.at(-1);
  if (!before || task.ts >= before.ts + before.dur) tasks.push(task);
}
const stepAt = (ts) => marks.find((mark) => mark.ts >= ts)?.name.replace("after ", "") ?? "afterwards";

/** What took most of a task: the events inside it that are long themselves, the outermost of each kind. */
function causes(task) {
  const inside = own.filter((event) => event !== task && event.ts >= task.ts && event.ts + event.dur <= task.ts + task.dur && event.dur > 3000);
  const named = inside.filter(({ name }) => !/RunTask|RunMicrotasks|ProfileCall|V8\.(GC|Execute)/.test(name)).sort((a, b) => b.dur - a.dur);
  const said = named.map(({ name, dur, args }) => {
    const { functionName, url, type, timerId } = args?.data ?? {};
    const what = [functionName, url?.split("/").pop(), type, timerId && "timer"].filter(Boolean).join(" ");
    return `${name}${what ? ` (${what})` : ""} ${(dur / 1000).toFixed(0)}`;
  });
  return [...new Set(said)].slice(0, 8).join(", ");
}

console.log(`load of the machine at the end: ${loadavg().map((load) => load.toFixed(1)).join(", ")}`);
for (const step of done) {
  const of = tasks.filter((task) => stepAt(task.ts) === step);
  const most = (time) => Math.max(0, ...of.map((task) => (task[time] ?? 0) / 1000)).toFixed(0);
  console.log(`${step}: ${of.length} tasks, longest ${most("dur")} ms wall, ${most("tdur")} ms cpu`);
  for (const task of of) {
    if (task.tdur <= LIMIT_MS * 1000) continue;
    console.log(`  ${(task.dur / 1000).toFixed(0)} ms wall, ${((task.tdur ?? 0) / 1000).toFixed(0)} ms cpu: ${causes(task)}`);
  }
}
for (const [type, at, ms, scripts] of observed) console.log(`observed ${type}: ${ms.toFixed(0)} ms at ${at.toFixed(0)}${scripts ? `: ${scripts}` : ""}`);
