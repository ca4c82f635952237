// Two runs beside each other, and a measurement over the prediction.
import assert from "node:assert/strict";
import { site } from "./browser.mjs";
import { digestOf, drop, edit, fileOf, finished, told } from "./app.mjs";

const { pageTest } = site();

/** The rows of a group of the table: label and cells. */
function rowsOf(page, table, group) {
  return page.getByTestId(table).locator("table", { has: page.getByRole("columnheader", { name: group, exact: true }) }).locator("tbody tr")
    .evaluateAll((rows) => Object.fromEntries(rows.map((row) => [...row.cells].map((cell) => cell.innerText.replace(/\s+/g, " ").trim())).map(([label, ...cells]) => [label, cells])));
}

pageTest("a pinned run is compared by its flags and, with signs, by every number", async ({ page, open }) => {
  await open("#v=1&request-rate=8&num-prompts=100&max-num-seqs=64");
  const before = await digestOf(page);
  await page.getByTestId("pin").click();
  await page.getByTestId("compare-same").waitFor();
  await edit(page, "max-num-seqs", "3");
  await edit(page, "seed", "5");
  await digestOf(page, before);
  assert.equal(await page.getByTestId("compare-same").count(), 0);
  const flags = await page.getByTestId("compare-flags").locator("tbody tr").evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.innerText)));
  assert.deepEqual(flags, [["--max-num-seqs", "64", "3"], ["--seed", "default", "5"]]);
  const ttft = await rowsOf(page, "compare-table", "TTFT");
  assert.deepEqual(Object.keys(ttft), ["Mean", "P50", "P90", "P95", "P99"]);
  for (const [label, [, , delta, relative]] of Object.entries(ttft)) {
    assert.match(delta, /^\+/, label);
    assert.match(relative, /^▲ \+[\d.]+ % worse$/, label);
  }
  const tpot = await rowsOf(page, "compare-table", "TPOT");
  assert.match(tpot.Mean.join(" "), /−[\d.]+ (ms|µs) ▼ −[\d.]+ % better$/);
  assert.match((await rowsOf(page, "compare-table", "Totals")).Requests.join(" "), /−.* worse/);
  // The curve of A lies beside that of B.
  assert.match(await page.getByTestId("distribution").locator("[role=img]").getAttribute("aria-label"), /this run \(simulated\): P50.*; pinned A: P50/);
  await edit(page, "max-num-seqs", "64");
  await edit(page, "seed", "");
  await page.getByTestId("compare-same").waitFor();
  assert.equal(await digestOf(page), before);
  await page.getByTestId("unpin").click();
  assert.equal(await page.getByTestId("compare").count(), 0);
});

pageTest("a measured result is drawn over the prediction, with the error of each percentile", async ({ page, open }) => {
  await open("#v=1&request-rate=10&num-prompts=40&max-concurrency=4");
  const before = await digestOf(page);
  // As an engine would have written it: without the mark of what is simulated.
  const result = JSON.parse(fileOf("tests/data/bench_serve_table/everything.detailed.json"));
  for (const [name, value] of Object.entries(result)) if (value === "simulated") result[name] = "vllm";
  await drop(page, ["run-on-h100.json", JSON.stringify(result)]);
  await told(page, 'Read run-on-h100.json as a result of vllm bench serve: 40 requests, laid over the prediction as "measured"');
  assert.equal(await page.getByTestId("measured-is-simulated").count(), 0);
  assert.match(await page.getByTestId("measured-error").innerText(), /^Median absolute error of the prediction: [\d.]+ % over \d+ statistics\.$/);
  const ttft = await rowsOf(page, "measured-table", "TTFT");
  assert.deepEqual(Object.keys(ttft), ["Mean", "P50", "P90", "P95", "P99"]);
  const ms = (text) => parseFloat(text.replace(/,/g, "")) * { s: 1000, ms: 1, "µs": 0.001 }[text.split(" ")[1]];
  const sorted = [...result.ttfts].sort((a, b) => a - b);
  const rank = 0.5 * (sorted.length - 1);
  const median = 1000 * (sorted[Math.floor(rank)] + (rank % 1) * (sorted[Math.ceil(rank)] - sorted[Math.floor(rank)]));
  const [measured, predicted, , relative] = ttft.P50;
  assert.ok(Math.abs(ms(measured) / median - 1) < 0.01, `${measured} is the median of the file's ttfts, ${median} ms`);
  const error = 100 * (ms(predicted) / ms(measured) - 1);
  const said = parseFloat(relative.replace("−", "-").replace(/[^-\d.]/g, ""));
  assert.ok(Math.abs(said - error) < 1, `${relative} is ${predicted} against ${measured}`);
  const settings = await page.getByTestId("measured-settings").innerText();
  for (const part of [/request_rate\s+10\s+10\s+equal/, /max_concurrency\s+4\s+4\s+equal/, /mean output tokens\s+13\.1\s+128\s+≠ differs/]) assert.match(settings, part);
  assert.match(await page.getByTestId("distribution").locator("[role=img]").getAttribute("aria-label"), /measured: P50/);
  assert.equal(await digestOf(page), before, "the run itself is the same");
  await page.getByTestId("remove-measured").click();
  assert.equal(await page.getByTestId("measured").count(), 0);
  await finished(page);
});
