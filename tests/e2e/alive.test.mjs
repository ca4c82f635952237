// The page answers to its user before it has its answer: its frame first, then the form. What stands in index.html stands in for
// what is still to come, and nothing moves when that takes its place.
import assert from "node:assert/strict";
import { answered, field } from "./app.mjs";
import { DESKTOP, PHONE, checkAccessible, site } from "./browser.mjs";

const { pageTest } = site();
const ALIVE = "html[data-alive]";
const READY = "html[data-ready]";

/** Where each of what is asked for stands. */
const places = (page, selectors) => page.evaluate((selectors) => selectors.map((selector) => {
  const { x, y, width } = document.querySelector(selector).getBoundingClientRect();
  return [selector, x, y, width].join(" ");
}), selectors);

pageTest("the frame answers before the form is there", async ({ page, open, server }) => {
  const release = server.hold("pkg/form.wasm");
  try {
    await open("", { ready: false });
    await page.locator(ALIVE).waitFor({ state: "attached" });
    assert.equal(await page.locator(READY).count(), 0);
    assert.equal(await page.getByText("Starting the simulator…").count(), 1, "what is waited for is said");
    await checkAccessible(page);
    await page.getByTestId("help").click();
    await page.getByRole("dialog", { name: "Help" }).waitFor();
    await page.keyboard.press("Escape");
    await page.getByTestId("ask-what-if").click();
    await page.locator(".first-answer").waitFor({ state: "detached" });
    await page.getByTestId("ask-load").click();
  } finally {
    release();
  }
  await answered(page);
  assert.equal(await page.locator(READY).count(), 1);
});

pageTest("the form answers before the answer is there, which then is that of the form", async ({ page, open, server }) => {
  const release = server.hold("pkg/questions.wasm");
  try {
    await open();
    assert.ok(await page.locator("[data-first=load-headline]").isVisible(), "the first answer stays");
    await field(page, "max-num-seqs").fill("8");
    await page.locator(".first-answer").waitFor({ state: "detached" });
    assert.ok(await page.getByTestId("answer-load").isVisible(), "its place is the page's own answer's");
  } finally {
    release();
  }
  await answered(page);
  assert.equal(await page.getByTestId("example-line").count(), 0, "it is no example");
  assert.equal(await field(page, "max-num-seqs").inputValue(), "8");
});

pageTest("a part that does not come is said in its place", async ({ page, open, server, allow }) => {
  allow(/404/);
  allow(/part form did not load/);
  server.replace("pkg/form.wasm", undefined);
  await open();
  await page.getByTestId("panels").getByTestId("part-missing").waitFor();
  server.restore();
  await page.getByTestId("panels").getByTestId("part-again").click();
  await page.getByTestId("card-model").waitFor();
  // What answers comes after it, and has not come either.
  await page.getByTestId("answer-load").getByTestId("part-again").click();
  await answered(page);
});

for (const viewport of [PHONE, DESKTOP]) {
  pageTest(`nothing moves while the page comes, ${viewport.width} px`, { viewport }, async ({ page, open, server }) => {
    await page.addInitScript(() => {
      globalThis.shifts = [];
      new PerformanceObserver((list) => list.getEntries().forEach(({ value, startTime, sources }) =>
        globalThis.shifts.push([value, Math.round(startTime), ...sources.map(({ node }) => node?.className ?? node?.nodeName)].join(" "))))
        .observe({ type: "layout-shift", buffered: true });
    });
    const held = ["pkg/web_bg.wasm", "pkg/form.wasm", "pkg/questions.wasm"].map((file) => server.hold(file));
    // On a phone the form is below the answer, which ends with the page's own.
    const seen = [".questions", ".results:not(.coming):not([hidden])", ...(viewport === PHONE ? [] : [".panels:not(.coming)"])];
    try {
      await open("", { ready: false });
      await page.locator("[data-first=load-headline]").waitFor();
      const before = await places(page, seen);
      for (const [state, release] of [[ALIVE, held[0]], [READY, held[1]]]) {
        release();
        await page.locator(state).waitFor({ state: "attached" });
        assert.deepEqual(await places(page, seen), before, state);
      }
      held[2]();
      await answered(page);
      assert.deepEqual(await places(page, seen), before, "answered");
      const shifts = (await page.evaluate(() => globalThis.shifts)).filter((shift) => /questions|results|first-answer|tile|verdict/.test(shift));
      assert.deepEqual(shifts, []);
    } finally {
      for (const release of held) release();
    }
  });
}
