// The answer that index.html holds for a visit that asks for nothing: it is the page's own, it is there before anything else
// has arrived, and the page takes its place without anything moving.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { WIDTHS, prerender, written } from "../../scripts/prerender.mjs";
import { answered } from "./app.mjs";
import { ARGUMENTS, DESKTOP, PHONE, WWW, checkAccessible, screenshot, site } from "./browser.mjs";
import { serve } from "./server.mjs";

const { pageTest } = site();

let browser;
let server;
before(async () => {
  server = await serve(WWW);
  browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGUMENTS });
});
after(async () => {
  await browser?.close();
  await server?.close();
});

test("index.html holds what the page shows: else run node scripts/prerender.mjs", async () => {
  const { answer } = written(readFileSync(`${WWW}index.html`, "utf8"));
  assert.equal(answer, await prerender(browser, server.url));
});

/** What a user sees of the answer down to its curve: words, the plot's shapes, and where what stands. */
function seen(attribute) {
  const named = (name) => document.querySelector(`[data-${attribute}=${name}]`);
  const places = [...document.querySelectorAll(`.results [data-${attribute}]`)].filter((element) =>
    element.checkVisibility({ visibilityProperty: true }));
  const last = named("load-latency");
  // Which go on below, with what comes with the page, and the line that says how long it took.
  const wholes = ["answer-load", "load-body", "load-curve", "load-status"].map(named);
  const above = places.filter((element) => !wholes.includes(element) && (element === last || element.compareDocumentPosition(last) & Node.DOCUMENT_POSITION_FOLLOWING));
  const plot = [...last.querySelectorAll(".plot-svg > svg")].find((svg) => svg.checkVisibility());
  return {
    // How long it took is another time each time.
    words: ["example-line", "load-status", "load-answer", "load-capacity", "load-tokens", "load-p99-ttft", "load-p99-tpot", "load-latency"].map((name) => named(name).innerText.replace(/, in .*/, ".").replace(/\s+/g, " ").trim()),
    places: above.map((element) => {
      const { x, y, width, height } = element.getBoundingClientRect();
      return [element.dataset[attribute], ...[x, y, width, height].map(Math.round)].join(" ");
    }),
    shapes: [...plot.querySelectorAll("polyline, polygon, rect, circle, text")].map((shape) => {
      const { stroke, fill } = getComputedStyle(shape);
      const where = ["points", "x", "y", "cx", "cy", "width", "height"].map((name) => shape.getAttribute(name)?.trim());
      return [shape.tagName, stroke, fill, ...where, shape.textContent.trim()].join(" ");
    }),
  };
}

for (const viewport of [PHONE, DESKTOP]) {
  for (const colorScheme of ["light", "dark"]) {
    pageTest(`the answer is there before the module, and stays as it is, ${viewport.width} px, ${colorScheme}`, { viewport, colorScheme }, async ({ page, open, server }) => {
      assert.ok(WIDTHS.includes(viewport.width), "a plot was drawn for this width");
      const release = server.hold("pkg/web_bg.wasm");
      await open("", { ready: false });
      await page.locator("[data-first=load-headline]").waitFor();
      await screenshot(page, `first-answer-${viewport.width}-${colorScheme}`, { fullPage: true });
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `${overflow} px too wide`);
      await checkAccessible(page);
      const before = await page.evaluate(seen, "first");
      assert.ok(before.words.every((words) => words.length > 1) && before.words[2].length > 200 && before.shapes.length > 20, "there is something to compare");
      release();
      await page.locator("html[data-ready]").waitFor({ state: "attached" });
      await answered(page);
      assert.equal(await page.locator("[data-first]").count(), 0, "it made room");
      await screenshot(page, `first-alive-${viewport.width}-${colorScheme}`, { fullPage: true });
      const after = await page.evaluate(seen, "testid");
      // What is only there for those who cannot see it, and explanations, come with the page.
      const names = new Set(before.places.map((place) => place.split(" ")[0]));
      assert.deepEqual(before.places, after.places.filter((place) => names.has(place.split(" ")[0])));
      assert.deepEqual(before.words, after.words);
      assert.deepEqual(before.shapes, after.shapes);
    });
  }
}

pageTest("what stands there answers to nothing, and says what it waits for", async ({ page, open, server }) => {
  const release = server.hold("pkg/web_bg.wasm");
  await open("", { ready: false });
  const answer = page.locator(".first-answer");
  await answer.waitFor();
  const reached = await answer.evaluate((answer) =>
    [...answer.querySelectorAll("button, input, summary, a, [tabindex]")].filter((control) => !control.closest("[inert]")).length);
  assert.equal(reached, 0, "controls that could be reached");
  assert.equal(await page.locator(".run-status").first().innerText(), "Starting the simulator…");
  release();
  await page.locator("html[data-ready]").waitFor({ state: "attached" });
});

pageTest("a page whose example cannot be had takes the place all the same", async ({ page, open, server, allow }) => {
  allow(/404/);
  server.replace("profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json", undefined);
  await open();
  await page.locator(".first-answer").waitFor({ state: "detached" });
  await page.getByTestId("answer-load").getByText("Waiting for the profile of model and GPU…").waitFor();
});
