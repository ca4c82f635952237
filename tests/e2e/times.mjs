// Times of the built page in Chromium, measured and not tested: `make bench` prints them. On a machine that does nothing else.
//
//   node tests/e2e/times.mjs [VISITS]     SITE=FOLDER: another page than www/
//
// A visit of a new user each time: when the form is alive, when the first answer is found, tasks that kept the page's thread
// for more than 50 ms (the browser's own count); then 10,000 requests, 64 at once: the first run, and three more.
import { chromium } from "playwright-core";
import { ARGUMENTS, DESKTOP, WWW } from "./browser.mjs";
import { serve } from "./server.mjs";

const RUN = "#v=1&num-prompts=10000&max-concurrency=64&request-rate=inf";
const visits = Number(process.argv[2] ?? 9);
const server = await serve(process.env.SITE ?? WWW);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGUMENTS });
const found = { formMs: [], answerMs: [], firstRunMs: [], laterRunMs: [] };
const longTasks = [];

for (let visit = 0; visit < visits; visit += 1) {
  const context = await browser.newContext({ viewport: DESKTOP });
  await context.addInitScript(() => {
    globalThis.seen = { tasks: [] };
    const keep = (list) => seen.tasks.push(...list.getEntries().map(({ duration }) => Math.round(duration)));
    new PerformanceObserver(keep).observe({ type: "longtask", buffered: true });
    addEventListener("vllmsim:ready", () => (seen.formMs = performance.now()));
    addEventListener("vllmsim:answered", () => (seen.answerMs = performance.now()));
  });
  const page = await context.newPage();
  await page.goto(server.url);
  await page.waitForFunction(() => seen.formMs && seen.answerMs);
  await page.waitForTimeout(1_500);
  const { tasks, formMs, answerMs } = await page.evaluate(() => seen);
  longTasks.push(tasks);
  found.formMs.push(formMs);
  found.answerMs.push(answerMs);
  await page.close();

  const other = await context.newPage();
  await other.goto(server.url + RUN);
  const status = other.getByTestId("run-status").filter({ hasText: /^Simulated in/ });
  await status.waitFor();
  found.firstRunMs.push(milliseconds(await status.innerText()));
  for (let run = 0; run < 3; run += 1) {
    await other.waitForTimeout(1_000);
    await other.getByTestId("run").click();
    await other.waitForTimeout(500);
    found.laterRunMs.push(milliseconds(await status.innerText()));
  }
  await context.close();
}
for (const [what, times] of Object.entries(found)) {
  const ordered = times.toSorted((a, b) => a - b);
  const [least, median, most] = [ordered[0], ordered[ordered.length >> 1], ordered.at(-1)].map((time) => time.toFixed(1));
  console.log(`${what.padEnd(12)} median ${median} ms, ${least} to ${most}`);
}
console.log(`longer than 50 ms in ${visits} first visits: ${longTasks.flat().map((task) => `${task} ms`).join(", ") || "no task"}`);
await browser.close();
await server.close();

/** Of "Simulated in 9.30 ms." */
function milliseconds(text) {
  const [, number, unit] = text.match(/([\d.,]+) (µs|ms|s)\.$/);
  return Number(number.replaceAll(",", "")) * { µs: 1e-3, ms: 1, s: 1e3 }[unit];
}
