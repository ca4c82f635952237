// The form and the run: the first visit, edits, what is refused, and a long run that can be watched and stopped.
import assert from "node:assert/strict";
import { site } from "./browser.mjs";
import { answered, digestNow, digestOf, edit, field, finished, formOf, saved, unfold } from "./app.mjs";

const { pageTest } = site();

pageTest("a first visit says how much load an example carries, and is no link", async ({ page, open }) => {
  await open();
  assert.match(await answered(page), /Carries [\d.]+ requests\/s with 99 % of requests within TTFT 500 ms, TPOT 50 ms/);
  assert.match(await page.getByTestId("answer-load").getByTestId("example-line").innerText(), /Example data/);
  assert.equal(new URL(page.url()).hash, "", "the example is no link");
  assert.equal(await page.getByTestId("recent").count(), 0, "nobody has asked for it");
});

pageTest("what happens in the example is called that, simulated, and of a derived profile", async ({ page, openWhatIf }) => {
  await openWhatIf();
  await finished(page);
  assert.match(await page.getByTestId("example-line").innerText(), /Example data/);
  assert.equal(await page.getByTestId("simulated-chip").innerText(), "SIMULATED, not measured");
  assert.match(await page.getByTestId("kind-chip").innerText(), /derived/);
  assert.match(await page.getByTestId("profile-kind").innerText(), /derived/);
  assert.match(await page.getByTestId("verdict-headline").innerText(), /(Meets the objectives|Misses): .*of requests within ttft ≤ 500 ms and tpot ≤ 50 ms/);
  for (const key of ["ttft", "tpot", "itl", "e2el"]) assert.match(await page.getByTestId(`${key}-p99`).innerText(), /^[\d.,]+ (ms|s)$/);
  await page.getByTestId("over-time").waitFor();
  await page.locator(".plot-svg svg").nth(2).waitFor();
});

pageTest("an edited field starts a run, which has another digest, and is then no example", async ({ page, openWhatIf }) => {
  await openWhatIf();
  const before = await digestOf(page);
  await edit(page, "max-num-seqs", "4");
  const after = await digestOf(page, before);
  assert.equal(await page.getByTestId("example-line").count(), 0);
  // The address carries the run.
  await page.waitForURL(/#v=1&.*max-num-seqs=4(&|$)/);
  await page.getByTestId("reset-max-num-seqs").click();
  assert.equal(await digestOf(page, after), before, "the same settings have the same digest again");
});

pageTest("a preset fills the form and runs", async ({ page, openWhatIf }) => {
  await openWhatIf();
  const before = await digestOf(page);
  await page.getByTestId("preset-select").selectOption({ label: "Azure conversations" });
  await digestOf(page, before);
  assert.equal(await page.getByTestId("field-dataset-name").inputValue(), "azure");
});

for (const [flag, value, ...parts] of [
  ["max-num-seqs", "many", "max-num-seqs", "many"],
  ["num-prompts", "99999999999", "num-prompts", "99999999999"],
]) {
  pageTest(`--${flag} ${value} is refused at the field, and results and address stay`, async ({ page, open }) => {
    await open("#v=1&request-rate=4&num-prompts=50");
    const before = await digestOf(page);
    const address = page.url();
    await edit(page, flag, value);
    const error = page.getByTestId(`error-${flag}`);
    await error.waitFor();
    for (const part of parts) assert.ok((await error.innerText()).includes(part), await error.innerText());
    assert.equal(await field(page, flag).getAttribute("aria-invalid"), "true");
    const described = (await field(page, flag).getAttribute("aria-describedby")).split(" ");
    assert.ok(described.includes(await error.getAttribute("id")), "the field says what is wrong with it");
    assert.equal(await digestOf(page), before);
    assert.equal(page.url(), address);
    assert.equal(await field(page, flag).inputValue(), value, "what was typed stays to be mended");
  });
}

for (const [flag, value, name] of [
  ["max-num-seqs", "-3", "max_num_seqs"],
  ["gpu-memory-utilization", "1.5", "gpu_memory_utilization"],
  ["request-rate", "-1", "request_rate"],
]) {
  pageTest(`--${flag} ${value}, a number out of range, is told with its name and at the field, and the results before stay`, async ({ page, open }) => {
    await open("#v=1&request-rate=4&num-prompts=50");
    const before = await digestOf(page);
    await edit(page, flag, value);
    const error = page.getByTestId("run-error");
    await error.waitFor();
    for (const part of [name, value]) assert.ok((await error.innerText()).includes(part), await error.innerText());
    const said = page.getByTestId(`error-${flag}`);
    assert.ok((await said.innerText()).includes(value), await said.innerText());
    assert.equal(await field(page, flag).getAttribute("aria-invalid"), "true");
    assert.ok((await field(page, flag).getAttribute("aria-describedby")).split(" ").includes(await said.getAttribute("id")));
    assert.equal(await page.locator(".panels [aria-invalid]").count(), 1, "no other field is to blame");
    assert.equal(await digestNow(page), before);
    await page.getByTestId(`reset-${flag}`).click();
    await finished(page);
    assert.equal(await said.count(), 0, "what is mended is told no longer");
    assert.equal(await field(page, flag).getAttribute("aria-invalid"), null);
  });
}

pageTest("what vLLM would refuse to start with is told in its words, and the results before stay", async ({ page, open }) => {
  await open("#v=1&request-rate=4&num-prompts=50");
  const first = await digestOf(page);
  await edit(page, "max-num-seqs", "512");
  // Fewer requests at a time leave more memory for blocks: another run.
  const before = await digestOf(page, first);
  await edit(page, "max-num-batched-tokens", "256");
  const words = /max_num_batched_tokens = 256 is below max_num_seqs = 512/;
  assert.match(await page.getByTestId("engine-refusal").innerText(), words);
  assert.match(await page.getByTestId("error-max-num-batched-tokens").innerText(), words);
  await page.getByTestId("run-error").waitFor();
  assert.match(await page.getByTestId("run-error").innerText(), words);
  assert.match(await page.getByTestId("stale-line").innerText(), /these results are of the run before/);
  assert.equal(await digestNow(page), before);
  await edit(page, "max-num-batched-tokens", "");
  await finished(page);
  assert.equal(await page.getByTestId("run-error").count(), 0, "what is mended is told no longer");
});

pageTest("the command box refuses by name what is not simulated, and keeps the text and the form", async ({ page, open }) => {
  await open("#v=1&request-rate=4&num-prompts=50");
  const before = await digestOf(page);
  const form = await formOf(page);
  const text = "vllm serve meta-llama/Llama-3.1-8B --max-num-seqs 64 --enable-lora --tensor-parallel-sise 2";
  const box = page.getByTestId("command-text");
  await box.fill(text);
  await page.getByTestId("command-apply").click();
  const refused = await page.getByTestId("command-refused").innerText();
  for (const part of ["Nothing was changed", "enable-lora", "tensor-parallel-sise"]) assert.ok(refused.includes(part), refused);
  assert.equal(await box.inputValue(), text);
  assert.equal(await box.getAttribute("aria-invalid"), "true");
  assert.deepEqual(await formOf(page), { ...form, "command-text": text });
  assert.equal(await digestOf(page), before);
  await page.getByTestId("command-discard").click();
  assert.deepEqual(await formOf(page), form);
});

pageTest("the command box follows the form and fills it", async ({ page, open }) => {
  await open("#v=1&request-rate=4&num-prompts=50");
  await digestOf(page);
  await edit(page, "max-num-seqs", "32");
  const box = page.getByTestId("command-text");
  assert.match(await box.inputValue(), /^vllm serve meta-llama\/Llama-3\.1-8B[^]*--max-num-seqs 32/);
  await box.fill("vllm serve meta-llama/Llama-3.1-8B --max-num-seqs 16 --port 9000 --no-enable-prefix-caching");
  await page.keyboard.press("Control+Enter");
  const taken = await page.getByTestId("command-taken").innerText();
  assert.match(taken, /--port: set aside/);
  assert.equal(await field(page, "max-num-seqs").inputValue(), "16");
  assert.match(await box.inputValue(), /--port 9000/, "what has no effect here stays in the command");
  await finished(page);
  await page.getByTestId("command-tab-bench").click();
  assert.match(await box.inputValue(), /^vllm bench serve [^]*--request-rate 4/);
});

// 1,000,000 requests: half a minute or more.
const LONG = "#v=1&num-prompts=1000000&max-concurrency=64&random-output-len=128";

pageTest("a long run shows how far it is and is stopped at once; the results before it are whole", async ({ page, open }) => {
  await open("#v=1&request-rate=4&num-prompts=120&goodput=ttft:500");
  const before = await digestOf(page);
  await page.evaluate((hash) => { location.hash = hash; }, LONG);
  const progress = page.getByTestId("run-progress");
  await progress.and(page.locator("[value]")).waitFor();
  const done = () => progress.evaluate((bar) => [bar.value, bar.max]);
  const [first, total] = await done();
  assert.equal(total, 1_000_000);
  await page.waitForFunction((first) => document.querySelector("[data-testid=run-progress]").value > first, first);
  assert.match(await page.getByTestId("run-status").innerText(), /^[\d,]+ of 1,000,000 requests, .* simulated$/);
  assert.match(await page.getByTestId("stale-line").innerText(), /these results are of the run before/);
  const took = await page.evaluate(async () => {
    const start = performance.now();
    document.querySelector("[data-testid=cancel]").click();
    while (document.querySelector("[data-testid=run-status]").textContent !== "Cancelled.") await new Promise((next) => setTimeout(next, 5));
    return performance.now() - start;
  });
  assert.ok(took < 1000, `stopped after ${took} ms`);
  assert.equal(await progress.count(), 0);
  assert.equal(await digestNow(page), before);
  // The worker was ended with the run: what the page asks of the run before must still be answered.
  await unfold(page, "requests");
  await page.getByTestId("request-table").locator("tbody tr").nth(49).waitFor();
  await page.getByTestId("requests-last").click();
  await page.getByTestId("request-table").locator("tbody tr").first().getByText("100", { exact: true }).waitFor();
  await unfold(page, "passes");
  await page.getByTestId("passes-range").waitFor();
  await page.getByTestId("export").click();
  const { content } = await saved(page, () => page.getByTestId("export-request-csv").click());
  assert.equal(content.toString().trim().split("\n").length, 121, "a row per request of the run before");
  assert.equal(await page.getByTestId("notice").count(), 0);
  await edit(page, "num-prompts", "60");
  await page.getByTestId("run").click();
  await digestOf(page, before);
});

pageTest("the page answers within 50 ms while 1,000,000 requests are simulated", async ({ page, open }) => {
  await open(LONG);
  await page.getByTestId("run-progress").and(page.locator("[value]")).waitFor();
  // The longest time between two ticks of a timer; the machine may be busy otherwise, so the best of three counts, and none
  // is waited for in vain: on a fast machine the whole run takes a few seconds.
  const gaps = [];
  for (let attempt = 0; attempt < 3 && !gaps.some((gap) => gap <= 50); attempt += 1) {
    gaps.push(await page.evaluate(() =>
      new Promise((resolve) => {
        let last = performance.now();
        let longest = 0;
        let ticks = 0;
        const timer = setInterval(() => {
          const now = performance.now();
          longest = Math.max(longest, now - last);
          last = now;
          ticks += 1;
          if (ticks === 100) {
            clearInterval(timer);
            resolve(longest);
          }
        }, 10);
      })));
    assert.equal(await page.getByTestId("run-progress").count(), 1, "the run goes on");
  }
  console.log(`longest gap of a timer of 10 ms: ${gaps.map((gap) => gap.toFixed(1)).join(", ")} ms`);
  assert.ok(Math.min(...gaps) <= 50, `${gaps}`);
  await page.keyboard.press("Escape");
  await page.getByTestId("run-status").filter({ hasText: "Cancelled." }).waitFor();
});
