// What can be taken away: plots as pictures and numbers, runs as files.
import assert from "node:assert/strict";
import { site } from "./browser.mjs";
import { digestOf, drop, resultOfProfiler, saved, told } from "./app.mjs";

const { pageTest } = site();
const RUN = "#v=1&request-rate=8&num-prompts=60&goodput=ttft:500";

pageTest("a plot is saved as SVG, PNG and CSV", async ({ page, open }) => {
  await open(RUN);
  const digest = await digestOf(page);
  const menu = page.getByTestId("distribution").locator(".plot-menu");
  const files = {};
  for (const kind of ["SVG", "PNG", "CSV"]) {
    await menu.locator("summary").click();
    files[kind] = await saved(page, () => menu.getByRole("button", { name: kind, exact: true }).click());
    assert.equal(files[kind].name, `ttft-distribution.${kind.toLowerCase()}`);
  }
  const svg = files.SVG.content.toString();
  const read = await page.evaluate((svg) => {
    const root = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
    return { name: root.nodeName, lines: root.querySelectorAll("polyline, path, line").length, text: root.textContent, refers: /href|url\(|<script/.test(svg) };
  }, svg);
  assert.equal(read.name, "svg");
  assert.ok(read.lines > 5);
  assert.match(read.text, /TTFT/);
  assert.equal(read.refers, false, "the picture stands alone");
  const png = files.PNG.content;
  assert.equal(png.subarray(0, 8).toString("hex"), "89504e470d0a1a0a");
  const [width, height] = [png.readUInt32BE(16), png.readUInt32BE(20)];
  assert.equal(height, 640, "two pixels for each of the page's");
  const colours = await page.evaluate(async (base64) => {
    const image = new Image();
    image.src = `data:image/png;base64,${base64}`;
    await image.decode();
    const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    return new Set(new Uint32Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size;
  }, png.toString("base64"));
  assert.ok(width > 600 && colours > 10, `${width} px, ${colours} colours`);
  const [header, ...rows] = files.CSV.content.toString().trim().split(/\r?\n/);
  assert.equal(rows.length >= 50, true, header);
  const series = {};
  for (const row of rows) (series[row.slice(0, row.lastIndexOf('"') + 1)] ??= []).push(row);
  assert.deepEqual(Object.keys(series), ['"this run"', '"passes × 0.91"', '"passes × 1.21"'], "and how far it may be off");
  for (const [name, rows] of Object.entries(series)) {
    const shares = rows.map((row) => Number(row.split(",").at(-1)));
    assert.ok(shares.every((share, i) => i === 0 || share >= shares[i - 1]) && Math.abs(shares.at(-1) - 1) < 1e-9, `${name} ends at 1`);
  }
  assert.equal(await digestOf(page), digest);
});

pageTest("the result of a ramp-up dates each whole rate as that of the command line does", async ({ page, open }) => {
  const link = "#v=1&num-prompts=60&ramp-up-strategy=linear&ramp-up-start-rps=2&ramp-up-end-rps=9";
  await open(link);
  await digestOf(page);
  await page.getByTestId("export").click();
  const result = JSON.parse((await saved(page, () => page.getByTestId("export-bench-json").click())).content);
  const expect = await resultOfProfiler(link);
  // Dates are of now: the whole rates, and the microseconds from the first to each, are the run's.
  const micros = (date) => {
    assert.match(date, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}$/);
    return Date.parse(`${date.slice(0, -7)}Z`) * 1000 + Number(date.slice(-6));
  };
  const steps = ({ rps_change_events: events }) => events.map(({ rps, timestamp }) => [rps, micros(timestamp) - micros(events[0].timestamp)]);
  assert.equal(result.rps_change_events.length, 8);
  // Each side cuts its dates to whole microseconds, of different beginnings.
  for (const [index, [rps, after]] of steps(expect).entries()) {
    const [ownRps, ownAfter] = steps(result)[index];
    assert.ok(ownRps === rps && Math.abs(ownAfter - after) <= 1, `${steps(result)}, not ${steps(expect)}`);
  }
  assert.ok(Math.abs(micros(result.rps_change_events[0].timestamp) - micros(expect.rps_change_events[0].timestamp)) < 600e6, "local time on both sides");
  const dated = ({ rps_change_events, date, duration, ...rest }) => Object.keys(rest).sort();
  assert.deepEqual(dated(result), dated(expect), "the same fields");
  for (const key of ["ramp_up_strategy", "ramp_up_start_rps", "ramp_up_end_rps", "duration", "mean_ttft_ms"]) assert.deepEqual(result[key], expect[key], key);
});

pageTest("a run is saved as vLLM's result, requests, trace and scenario", async ({ page, open }) => {
  await open(RUN);
  const digest = await digestOf(page);
  const table = await page.getByTestId("bench-table").textContent();
  const save = async (testid) => {
    await page.getByTestId("export").click();
    return saved(page, () => page.getByTestId(testid).click());
  };
  const plain = await save("export-bench-json");
  assert.match(plain.name, /^simulated-8\.0qps-Llama-3\.1-8B-\d{8}-\d{6}\.json$/);
  const result = JSON.parse(plain.content);
  assert.equal(result.backend, "simulated");
  assert.deepEqual([result.num_prompts, result.completed, result.failed, result.request_rate], [60, 60, 0, 8]);
  assert.match(table, new RegExp(`Mean TTFT \\(ms\\): +${result.mean_ttft_ms.toFixed(2).replace(".", "\\.")} `), "the same numbers as on the page");
  assert.equal(result.ttfts, undefined);
  const detailed = JSON.parse((await save("export-bench-json-detailed")).content);
  for (const list of ["input_lens", "output_lens", "ttfts", "itls"]) assert.equal(detailed[list].length, 60, list);
  assert.equal(detailed.mean_ttft_ms, result.mean_ttft_ms);
  const mean = (1000 * detailed.ttfts.reduce((sum, ttft) => sum + ttft, 0)) / 60;
  assert.ok(Math.abs(mean - result.mean_ttft_ms) < 1e-6);
  const [header, ...rows] = (await save("export-request-csv")).content.toString().trim().split(/\r?\n/);
  assert.equal(rows.length, 60);
  const column = header.split(",").indexOf("ttft_ms");
  assert.ok(Math.abs(rows.reduce((sum, row) => sum + Number(row.split(",")[column]), 0) / 60 - result.mean_ttft_ms) < 1e-3);
  const trace = JSON.parse((await save("export-chrome-trace")).content);
  const spans = trace.traceEvents.filter((event) => event.ph === "X");
  assert.ok(spans.length > 100 && spans.every((span) => span.ts >= 0 && span.dur >= 0));
  assert.ok(trace.traceEvents.some((event) => event.ph === "M" && /simulated/.test(event.args.name)), "it says that it is simulated");
  const scenario = await save("export-scenario");
  assert.match(scenario.content.toString(), /^#v=1&.*num-prompts=60&request-rate=8&goodput=ttft:500\n$/);
  // What was saved can be dropped again, as a measurement that measures nothing.
  await drop(page, ["again.json", JSON.stringify(detailed)]);
  await told(page, "Read again.json as a result");
  await page.getByTestId("measured-is-simulated").waitFor();
  assert.match(await page.getByTestId("measured-error").innerText(), /: 0\.0* % over/);
  assert.equal(await digestOf(page), digest);
});
