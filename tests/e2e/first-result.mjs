// Not a test: how long a first visit waits for its answer, until the page's frame is alive, until its form is, and until it has
// found the answer itself; here and on a slow line; how long it holds the page's thread, and how long 10,000 requests take.
//
//   node tests/e2e/first-result.mjs          CHROMIUM and PROFILER as for the tests; the page must be built
import { spawn } from "node:child_process";
import { chromium } from "playwright-core";
import { PROFILER } from "./app.mjs";
import { ARGUMENTS, DESKTOP, WWW } from "./browser.mjs";
import { slowLine } from "./slow-line.mjs";

const VISITS = 10;
const SLOW_VISITS = 3;
const LINE = { bitsPerSecond: 1.6e6, latencyMs: 150 };
const LARGE = "#v=1&num-prompts=10000&max-concurrency=64";

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.ceil((sorted.length - 1) / 2)]) / 2;
};
const listed = (values) => values.map((value) => value.toFixed(0)).join(", ");

/** What serves the page to a user: with its compressed files. */
const server = spawn(PROFILER, ["serve", "--no-open", "--port", "0", "--www", WWW], { stdio: ["ignore", "pipe", "inherit"] });
const port = await new Promise((resolve) => server.stdout.once("data", (text) => resolve(Number(/:(\d+)\//.exec(text)[1]))));

/** What `body` answers on a page that nobody has visited, in a browser with nothing in its cache. */
async function visit(port, fragment, body) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGUMENTS });
  try {
    const page = await (await browser.newContext({ viewport: DESKTOP })).newPage();
    // The page's own clock, which begins with the navigation.
    await page.addInitScript(() => {
      globalThis.longTasks = [];
      new PerformanceObserver((list) => globalThis.longTasks.push(...list.getEntries().map(({ startTime, duration }) => [startTime, duration])))
        .observe({ type: "longtask", buffered: true });
      // Until the frame with it is painted.
      const painted = (name) => requestAnimationFrame(() => setTimeout(() => { globalThis.seenAt[name] = performance.now(); }));
      const isShown = (selector) => document.querySelector(selector)?.checkVisibility({ visibilityProperty: true });
      const awaited = {
        answer: "[data-first=load-headline]", frame: "html[data-alive]", form: "html[data-ready]", own: "[data-testid=load-answer].verdict-good",
      };
      globalThis.seenAt = {};
      const seen = new MutationObserver(() => {
        for (const [name, selector] of Object.entries(awaited)) {
          if (!isShown(selector)) continue;
          delete awaited[name];
          painted(name);
        }
        if (Object.keys(awaited).length === 0) seen.disconnect();
      });
      seen.observe(document, { childList: true, subtree: true, attributes: true });
    });
    await page.goto(`http://127.0.0.1:${port}/${fragment}`);
    await page.waitForFunction(() => globalThis.seenAt?.form !== undefined, undefined, { polling: 20 });
    return await body(page);
  } finally {
    await browser.close();
  }
}

/** When the answer was there to be read, when frame and form answered to their user, when the page had its own answer, in ms. */
const times = (page) => page.waitForFunction(() => globalThis.seenAt.own !== undefined, undefined, { polling: 20 })
  .then(() => page.evaluate(() => globalThis.seenAt));
/** Of several visits' times. */
const said = (visits) => {
  const of = (name) => visits.map((times) => times[name]);
  const told = { answer: "answer", frame: "frame alive", form: "form alive", own: "own answer" };
  return Object.entries(told).map(([name, words]) => `${words} median ${median(of(name)).toFixed(0)} ms (${listed(of(name))})`).join(", ");
};
/** Tasks of more than 50 ms so far: when and how long, in ms. */
const longTasks = (page) => page.evaluate(() => globalThis.longTasks.map(([at, ms]) => `${ms.toFixed(0)} at ${at.toFixed(0)}`).join(", ") || "none");

const visits = [];
let blocked;
for (let i = 0; i < VISITS; i += 1) {
  visits.push(await visit(port, "", async (page) => {
    const answered = await times(page);
    await page.waitForTimeout(1500);
    blocked = await longTasks(page);
    return answered;
  }));
}
console.log(`first visit: ${said(visits)}`);
console.log(`tasks over 50 ms during the last of them: ${blocked}`);

const slow = [];
let bytes = 0;
for (let i = 0; i < SLOW_VISITS; i += 1) {
  const line = await slowLine(port, LINE);
  slow.push(await visit(line.port, "", async (page) => {
    bytes = line.bytes();
    return times(page);
  }));
  line.close();
}
console.log(`at 1.6 Mbit/s and 150 ms: ${said(slow)}, ${bytes} bytes until then`);

const walls = await visit(port, LARGE, async (page) => {
  const status = page.getByTestId("run-status");
  const wall = async () => {
    const [, value, unit] = (await status.filter({ hasText: /^Simulated in/ }).innerText()).match(/in ([\d.]+) (ms|s)\./);
    return Number(value) * (unit === "s" ? 1000 : 1);
  };
  const walls = [await wall()];
  for (let i = 0; i < 4; i += 1) {
    await page.getByTestId("run").click();
    await page.waitForTimeout(1500);
    walls.push(await wall());
  }
  blocked = await longTasks(page);
  return walls;
});
console.log(`10,000 requests: first ${walls[0].toFixed(0)} ms, best ${Math.min(...walls).toFixed(0)} ms (${listed(walls)})`);
console.log(`tasks over 50 ms while they ran five times, the page's start included: ${blocked}`);
server.kill();
