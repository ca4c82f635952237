// Not a test: how long a first visit waits for its answer, here and on a slow line, how long it holds the page's thread,
// and how long 10,000 requests take in the page.
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
      const seen = new MutationObserver(() => {
        if (document.querySelector("[data-testid=verdict-headline]")?.checkVisibility()) {
          seen.disconnect();
          // Until the frame with it is painted.
          requestAnimationFrame(() => setTimeout(() => { globalThis.answeredAt = performance.now(); }));
        }
      });
      seen.observe(document, { childList: true, subtree: true });
    });
    await page.goto(`http://127.0.0.1:${port}/${fragment}`);
    await page.waitForFunction(() => globalThis.answeredAt !== undefined, undefined, { polling: 20 });
    return await body(page);
  } finally {
    await browser.close();
  }
}

const answeredAt = (page) => page.evaluate(() => globalThis.answeredAt);
/** Tasks of more than 50 ms so far: when and how long, in ms. */
const longTasks = (page) => page.evaluate(() => globalThis.longTasks.map(([at, ms]) => `${ms.toFixed(0)} at ${at.toFixed(0)}`).join(", ") || "none");

const waits = [];
let blocked;
for (let i = 0; i < VISITS; i += 1) {
  waits.push(await visit(port, "", async (page) => {
    const answered = await answeredAt(page);
    await page.waitForTimeout(1500);
    blocked = await longTasks(page);
    return answered;
  }));
}
console.log(`first result: median ${median(waits).toFixed(0)} ms of ${VISITS} first visits (${listed(waits)})`);
console.log(`tasks over 50 ms during the last of them: ${blocked}`);

const slow = [];
let bytes = 0;
for (let i = 0; i < SLOW_VISITS; i += 1) {
  const line = await slowLine(port, LINE);
  slow.push(await visit(line.port, "", async (page) => {
    bytes = line.bytes();
    return answeredAt(page);
  }));
  line.close();
}
console.log(`at 1.6 Mbit/s and 150 ms: median ${median(slow).toFixed(0)} ms (${listed(slow)}), ${bytes} bytes until then`);

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
