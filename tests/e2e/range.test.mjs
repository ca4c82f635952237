// How far the figures may be off: beside them, in the curve, in the verdict and in what is saved.
import assert from "node:assert/strict";
import { PHONE, checkAccessible, site } from "./browser.mjs";
import { digestOf, drop, edit, field, finished, resultOfProfiler, saved, told } from "./app.mjs";

const { pageTest } = site();
const RUN = "#v=1&request-rate=8&num-prompts=60";

const ranges = (page) => page.getByTestId("tiles").locator(".range");

/** Waits until the range of the run that is shown is known. */
async function ranged(page) {
  await finished(page);
  await ranges(page).first().waitFor();
  assert.equal(await ranges(page).filter({ hasText: "…" }).count(), 0, "nothing is awaited any longer");
}

/** Milliseconds of a figure as it is written. */
function milliseconds(text) {
  const [, number, unit] = text.match(/^([\d.,]+) (ms|s)$/) ?? assert.fail(text);
  return Number(number.replace(",", "")) * (unit === "s" ? 1000 : 1);
}

const figure = async (page, testid) => milliseconds(await page.getByTestId(testid).innerText());

pageTest("a quick run shows unasked how far each figure may be off, and the wish for less is kept", async ({ page, open }) => {
  await open(RUN);
  await ranged(page);
  const digest = await digestOf(page);
  const [, low, high] = (await page.getByTestId("tile-tpot").locator(".tile-first .range").innerText()).match(/^([\d.]+) – ([\d.]+) ms$/).map(Number);
  const own = await figure(page, "tpot-p99");
  assert.ok(low < own && own < high, `${low} < ${own} < ${high}`);
  assert.match(await page.getByTestId("totals").innerText(), /req\/s\s+[\d.]+ – [\d.]+ req\/s/);
  assert.match(await page.getByTestId("range-why").innerText(), /1200 published runs, eight in ten had a TPOT 9 % less to 21 % more/);
  const plot = page.getByTestId("distribution");
  await plot.locator("svg text", { hasText: "how far this may be off" }).waitFor();
  const toggle = page.getByTestId("range-toggle");
  assert.equal(await toggle.isChecked(), true);
  await toggle.uncheck();
  assert.equal(await ranges(page).count(), 0);
  await plot.locator("svg text", { hasText: "how far this may be off" }).waitFor({ state: "detached" });
  await page.reload();
  await finished(page);
  assert.equal(await toggle.isChecked(), false, "kept in the browser");
  assert.equal(await ranges(page).count(), 0);
  await toggle.check();
  await ranged(page);
  assert.equal(await digestOf(page), digest, "the run itself is the same");
});

pageTest("the verdict says whether it is clear, or the target lies inside the range", async ({ page, open }) => {
  await open(RUN);
  await ranged(page);
  const p99 = await figure(page, "tpot-p99");
  const certainty = page.getByTestId("verdict-certainty");
  assert.equal(await certainty.count(), 0, "no objectives, nothing to be sure of");
  for (const [share, headline, label, mark] of [
    [2, /Meets the objectives/, /^Clearly met: at both ends/, "✓"],
    [1.1, /Probably meets the objectives/, /^Not certain: the target, 99 % of requests, lies inside the range, [\d.]+ – 100\.0 %\.$/, "≈"],
    [0.95, /Probably misses: only/, /^Not certain: the target, 99 % of requests, lies inside the range/, "≈"],
    [0.5, /Misses: only/, /^Clearly missed: at both ends/, "✗"],
  ]) {
    await page.getByTestId("objective-tpot").fill((p99 * share).toFixed(2));
    await page.getByTestId("verdict-headline").filter({ hasText: headline }).waitFor();
    await certainty.filter({ hasText: label }).waitFor();
    assert.equal(await page.getByTestId("verdict").locator(".verdict-mark").innerText(), mark);
  }
});

pageTest("a saved result says what the command line says of the range, and can be dropped again", async ({ page, open }) => {
  const link = `${RUN}&goodput=tpot:9`;
  await open(link);
  await ranged(page);
  await page.getByTestId("export").click();
  const file = (await saved(page, () => page.getByTestId("export-bench-json").click())).content;
  const { range } = JSON.parse(file).simulation;
  assert.deepEqual(range, (await resultOfProfiler(link, "--range")).simulation.range);
  assert.deepEqual([range.low_factor, range.high_factor], [0.91, 1.21]);
  await drop(page, ["again.json", file]);
  await told(page, "Read again.json as a result");
});

pageTest("a long run is repeated only when asked, beside what is looked at, and can be given up", async ({ page, open }) => {
  await open("#v=1&request-rate=40&num-prompts=300000");
  await finished(page);
  const toggle = page.getByTestId("range-toggle");
  assert.equal(await toggle.isChecked(), false);
  await toggle.check();
  await page.getByTestId("range-why").filter({ hasText: "Simulating both ends…" }).waitFor();
  // The run's own worker is free.
  await page.getByTestId("export").click();
  await saved(page, () => page.getByTestId("export-bench-json").click());
  await toggle.uncheck();
  await page.getByTestId("range-why").filter({ hasNotText: "Simulating" }).waitFor();
  assert.equal(await ranges(page).count(), 0);
  await edit(page, "num-prompts", "60");
  await page.getByTestId("run").click();
  await finished(page);
  await toggle.check();
  await ranged(page);
});

pageTest("passes that differ are asked for in the form, and each end is drawn several times", async ({ page, open }) => {
  await open(`${RUN}&pass-noise=0.1,0.5`);
  await ranged(page);
  assert.equal(await field(page, "pass-noise").inputValue(), "0.1,0.5");
  assert.match(await page.getByTestId("range-why").innerText(), /each end is drawn 3 times/);
});

pageTest("a GPU that nobody measured shows its range, and says so", async ({ page, open }) => {
  await open("#v=1&gpu=h100-pcie&request-rate=4&num-prompts=50&goodput=tpot:20");
  await page.getByTestId("verdict-estimated").waitFor();
  await ranged(page);
  assert.match(await page.getByTestId("verdict-estimated").innerText(), /a pass may take 40 % less to 70 % more/);
});

pageTest("on a phone, dark, the range fits and can be read", { viewport: PHONE, colorScheme: "dark" }, async ({ page, open }) => {
  await open(`${RUN}&goodput=ttft:500`);
  await ranged(page);
  await checkAccessible(page);
  const [width, visible] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(width <= visible, `${width} pixels wide on ${visible}`);
});
