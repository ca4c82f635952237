// Not a test: how long a first visit waits for its answer, and how long 10,000 requests take in the page.
//
//   node tests/e2e/first-result.mjs          CHROMIUM as for the tests; the page must be built
import { ARGUMENTS, DESKTOP, WWW } from "./browser.mjs";
import { chromium } from "playwright-core";
import { serve } from "./server.mjs";

const VISITS = 10;
const LARGE = "#v=1&num-prompts=10000&max-concurrency=64";

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.ceil((sorted.length - 1) / 2)]) / 2;
};
const listed = (values) => values.map((value) => value.toFixed(0)).join(", ");

const server = await serve(WWW);
/** What `body` answers on a page that nobody has visited, in a browser with nothing in its cache. */
async function visit(fragment, body) {
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGUMENTS });
  try {
    const page = await (await browser.newContext({ viewport: DESKTOP })).newPage();
    // The page's own clock, which begins with the navigation.
    await page.addInitScript(() => {
      const seen = new MutationObserver(() => {
        if (document.querySelector("[data-testid=verdict-headline]")?.checkVisibility()) {
          seen.disconnect();
          // Until the frame with it is painted.
          requestAnimationFrame(() => setTimeout(() => { globalThis.answeredAt = performance.now(); }));
        }
      });
      seen.observe(document, { childList: true, subtree: true });
    });
    await page.goto(server.url + fragment);
    await page.waitForFunction(() => globalThis.answeredAt !== undefined);
    return await body(page);
  } finally {
    await browser.close();
  }
}

const waits = [];
for (let i = 0; i < VISITS; i += 1) waits.push(await visit("", (page) => page.evaluate(() => globalThis.answeredAt)));
console.log(`first result: median ${median(waits).toFixed(0)} ms of ${VISITS} first visits (${listed(waits)})`);

const walls = await visit(LARGE, async (page) => {
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
  return walls;
});
console.log(`10,000 requests: first ${walls[0].toFixed(0)} ms, best ${Math.min(...walls).toFixed(0)} ms (${listed(walls)})`);
await server.close();
