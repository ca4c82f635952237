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

pageTest("what is typed before what reads it is there is taken as soon as it comes", async ({ page, open, server }) => {
  const release = server.hold("pkg/profiles.wasm");
  try {
    await open();
    await field(page, "max-num-seqs").fill("8");
    await field(page, "request-rate").fill("fast");
    await page.waitForTimeout(200);
    assert.equal(await page.getByTestId("error-request-rate").count(), 0, "nobody knows yet");
  } finally {
    release();
  }
  await page.getByTestId("error-request-rate").waitFor();
  await answered(page);
  await page.getByTestId("ask-what-if").click();
  await page.waitForURL(/[#&]max-num-seqs=8(&|$)/);
  assert.equal(await field(page, "request-rate").inputValue(), "fast", "it stays to be mended");
});

pageTest("the page's thread is free between any few fields of the form", async ({ page, open }) => {
  await page.addInitScript(() => {
    // How many fields were made since a timer began that none has begun since.
    globalThis.made = [0];
    const { setTimeout } = globalThis;
    globalThis.setTimeout = (work, ...rest) => setTimeout((...args) => {
      globalThis.made.push(0);
      return work(...args);
    }, ...rest);
    const seen = new WeakSet();
    new MutationObserver((records) => {
      for (const node of records.flatMap(({ addedNodes }) => [...addedNodes]).filter((node) => node instanceof Element)) {
        for (const field of [node, ...node.querySelectorAll(".setting")]) {
          if (!field.matches(".setting") || seen.has(field)) continue;
          seen.add(field);
          globalThis.made[globalThis.made.length - 1] += 1;
        }
      }
    }).observe(document, { childList: true, subtree: true });
  });
  await open();
  await answered(page);
  // The last of all: the fleet's card comes once the answer is there.
  await field(page, "data-parallel-size").waitFor({ state: "attached" });
  const made = await page.evaluate(() => globalThis.made);
  assert.ok(made.reduce((all, some) => all + some) > 40, `all fields are there: ${made}`);
  assert.ok(Math.max(...made) <= 6, `in one task: ${made}`);
});

pageTest("a form that does not come is said once, in its place, and all that waits for it comes with it", async ({ page, open, server, allow }) => {
  allow(/404/);
  allow(/part form did not load/);
  allow(/part questions did not load/);
  const failed = page.waitForEvent("console", (message) => /part questions did not load/.test(message.text()));
  server.replace("pkg/form.wasm", undefined);
  await open();
  await page.getByTestId("panels").getByTestId("part-missing").waitFor();
  // What answers needs the form, and has failed, too.
  await failed;
  await page.waitForTimeout(200);
  assert.equal(await page.getByTestId("part-missing").count(), 1);
  assert.equal(await page.getByTestId("part-again").count(), 1);
  assert.ok(await page.locator("[data-first=load-headline]").isVisible(), "the first answer stays");
  await checkAccessible(page);
  server.restore();
  await page.getByTestId("part-again").click();
  await page.getByTestId("card-model").waitFor();
  await answered(page);
  assert.equal(await page.getByTestId("part-missing").count(), 0);
});

pageTest("what answers and does not come is said in its place, and the form is there", async ({ page, open, server, allow }) => {
  allow(/404/);
  allow(/part questions did not load/);
  server.replace("pkg/questions.wasm", undefined);
  await open();
  await page.getByTestId("answer-load").getByTestId("part-missing").waitFor();
  await page.getByTestId("card-model").waitFor();
  assert.equal(await page.getByTestId("part-missing").count(), 1);
  server.restore();
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
