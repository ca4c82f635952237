// "Which GPU?": the recommendation of `profiler recommend`, run by run, with prices that can be changed.
import assert from "node:assert/strict";
import { answerOfCommand } from "./app.mjs";
import { DESKTOP, PHONE, checkAccessible, screenshot, site } from "./browser.mjs";

const { pageTest } = site({ prefix: "/somebody/simulator/" });

/** Few requests and one seed, so that tests are quick. */
const ASKED = "#v=1&goodput=ttft:500,tpot:50&num-prompts=60&ask=gpu&ask-seeds=1";

const status = (page, hasText) => page.getByTestId("gpu-status").filter({ hasText }).waitFor();

/** Asks, and waits for the answer's sentence. */
async function recommended(page) {
  await page.getByTestId("gpu-compare").click();
  await status(page, /^\d+ setups, .* runs, in /);
  const headline = await page.getByTestId("gpu-headline").innerText();
  console.log(headline, await page.getByTestId("gpu-status").innerText());
  return headline;
}

const rowsOf = (page) =>
  page.getByTestId("gpu-table").locator("tbody tr").evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.innerText.trim())));

function near(shown, exact, what) {
  const digits = shown.replace(/[^\d.]/g, "");
  const value = parseFloat(digits);
  // Rounded to three digits, or to what is shown behind the point.
  const rounding = 0.5001 * 10 ** -(digits.split(".")[1] ?? "").length;
  assert.ok(Math.abs(value - exact) <= Math.max(rounding, 0.006 * exact), `${what}: ${shown} is not ${exact}`);
}

/** The page's answer is, run by run, that of the command beside it. */
async function sameAsCommand(page, { knowsPrices = true } = {}) {
  const there = await answerOfCommand(await page.getByTestId("gpu-command").innerText());
  assert.equal(await page.getByTestId("gpu-digest").innerText(), there.digest, "the same runs");
  const rows = (await rowsOf(page)).slice(0, there.ranked.length);
  assert.equal(rows.length, there.ranked.length);
  for (const [place, { name, capacity, operating }] of there.ranked.entries()) {
    const [, carries, perGpu, perUser, cost] = rows[place];
    near(carries, capacity, name);
    near(perGpu, operating.tokens_per_second_per_gpu, name);
    near(perUser, operating.tokens_per_second_per_user, name);
    // The command has the list of prices that ships, whether the page has it or not.
    if (!knowsPrices) assert.equal(cost, "–", name);
    else if (operating.usd_per_million_output_tokens) near(cost, operating.usd_per_million_output_tokens, name);
  }
  assert.ok((await page.getByTestId("gpu-status").innerText()).includes(` ${there.num_runs} runs, in `), `${there.num_runs} runs`);
  return there;
}

pageTest("the setup that costs least is recommended, with the command line's runs, its reasons and its commands", async ({ page, open }) => {
  await open(ASKED);
  assert.match(await recommended(page), /costs (least|as little as any): \$[\d.]+ for a million output tokens/);
  const { ranked, comparisons } = await sameAsCommand(page);
  const serve = await page.getByTestId("gpu-serve").innerText();
  assert.match(serve, /^vllm serve /);
  for (const [flag, value] of ranked[0].flags.filter(([flag]) => ["quantization", "kv-cache-dtype", "max-num-seqs"].includes(flag))) {
    assert.ok(serve.includes(`--${flag} ${value}`), `--${flag} ${value} in ${serve}`);
  }
  assert.match(await page.getByTestId("gpu-command").innerText(), /^profiler recommend --num-seeds 1/);
  const answer = await page.getByTestId("answer-gpu").innerText();
  for (const { flag } of comparisons) assert.ok(answer.includes(`--${flag} `), `what --${flag} is worth`);
  // The ranked can be taken into the form.
  await page.getByRole("button", { name: /^Take .* into the form$/ }).first().click();
  await page.waitForURL(new RegExp(`gpu=${ranked[0].gpu}`));
});

pageTest("prices have a date and a source, can be changed, and are in the link", async ({ page, open }) => {
  await open(ASKED);
  const prices = page.getByTestId("gpu-prices");
  await prices.locator("tr").filter({ hasText: "L40S" }).filter({ hasText: /\d{4}-\d\d-\d\d.*https:/s }).waitFor();
  assert.match(await page.getByTestId("gpu-missing").innerText(), /No price is known of GB300/);
  await page.getByTestId("gpu-price-l40s").fill("0.01");
  await page.getByTestId("gpu-price-l40s").blur();
  await page.waitForURL(/price=l40s(=|%3D)0\.01/);
  assert.match(await recommended(page), /L40S.* costs (least|as little as any)/);
  await sameAsCommand(page);
  await page.reload();
  await page.getByTestId("gpu-price-l40s").waitFor();
  await page.waitForFunction(() => document.querySelector("[data-testid=gpu-price-l40s]").value === "0.01");
  await page.getByTestId("gpu-price-l40s").fill("cheap");
  await page.getByTestId("gpu-price-l40s").blur();
  await page.getByTestId("gpu-price-fault").filter({ hasText: /price/ }).waitFor();
  await page.getByTestId("gpu-price-l40s").fill("");
  await page.getByTestId("gpu-price-l40s").blur();
  await page.waitForURL((url) => !url.hash.includes("price="));
});

pageTest("without prices GPUs are what is ranked by, and that is said", async ({ page, open, allow }) => {
  allow(/prices\.json|ERR_FAILED/);
  await page.route("**/prices.json", (route) => route.abort());
  await open(ASKED);
  assert.match(await recommended(page), /gives (most|as much as any) for each GPU/);
  assert.match(await page.getByTestId("gpu-missing").innerText(), /No price is known of H100 SXM, .*ranked by GPUs/);
  await sameAsCommand(page, { knowsPrices: false });
  assert.match(await page.getByTestId("gpu-fronts").innerText(), /^((?!Cost against)[^])*$/, "nothing costs anything");
});

pageTest("what setups are ranked by is in the link and in the command", async ({ page, open }) => {
  await open(ASKED);
  await page.getByTestId("gpu-by-gpus").click();
  await page.waitForURL(/&ask-for=throughput(&|$)/);
  await page.reload();
  await page.locator("[data-testid=gpu-by-gpus][aria-pressed=true]").waitFor();
  assert.match(await recommended(page), /gives (most|as much as any) for each GPU/);
  assert.match(await page.getByTestId("gpu-command").innerText(), /^profiler recommend --for throughput --num-seeds 1/);
  await sameAsCommand(page);
});

const SPLITS = "#v=1&goodput=ttft:1500,tpot:30&num-prompts=60&random-input-len=2000&ask=gpu&ask-seeds=2&ask-gpus=3";

/** Compares the splits, and waits for all of them. */
async function divided(page) {
  await page.getByTestId("split-compare").click();
  await page.getByTestId("split-status").filter({ hasText: /^\d+ runs, in / }).waitFor({ timeout: 120_000 });
  const answer = await page.getByTestId("split-answer").innerText();
  console.log(answer, await page.getByTestId("split-status").innerText());
  return answer;
}

for (const [name, more] of [["as all engines are", ""], ["with flags of one role", "&prefill-args=--max-num-seqs 16&gpu=h200-sxm"]]) {
  pageTest(`how GPUs are divided best is answered with the command line's runs: ${name}`, async ({ page, open }) => {
    await open(SPLITS + more);
    const answer = await divided(page);
    const there = await answerOfCommand(await page.getByTestId("split-command").innerText());
    assert.equal(await page.getByTestId("split-digest").innerText(), there.digest, "the same runs");
    const rows = await page.getByTestId("split-table").locator("tbody tr").evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.innerText.trim())));
    assert.deepEqual(rows.map(([split]) => split.replace(/\s+recommended$/, "")), ["3 together", "1 prefill + 2 decode", "2 prefill + 1 decode"]);
    for (const [place, { capacity }] of there.splits.entries()) near(rows[place][2], capacity, rows[place][0]);
    assert.match(rows[there.best][0], /recommended$/, "the command line's");
    assert.equal(rows.filter(([split]) => /recommended$/.test(split)).length, 1, "and no other");
    for (const sentence of answer.split("\n").filter((line) => line.trim())) assert.ok(there.text.includes(sentence.trim()), sentence);
  });
}

pageTest("how many GPUs there are is in the link, and what splits cannot be is said", async ({ page, open }) => {
  await open("#v=1&num-prompts=60&ask=gpu");
  await page.getByTestId("ask-gpus").fill("2");
  await page.getByTestId("ask-gpus").blur();
  await page.waitForURL(/&ask-gpus=2(&|$)/);
  await page.reload();
  await page.getByTestId("split").filter({ hasText: "divide 2 of the GPU" }).waitFor();
  const refused = async (link, expect) => {
    // The same page would take the link for a change of its fragment, and may be asked before it has.
    await page.goto("about:blank");
    await open(link);
    await page.getByTestId("split-compare").click();
    await page.getByTestId("split-answer").filter({ hasText: expect }).waitFor();
    assert.equal(await page.getByTestId("split-status").innerText(), "Not answered.");
  };
  await refused("#v=1&num-prompts=60&ask=gpu&ask-gpus=500", "the limit is 64");
  await refused("#v=1&num-prompts=60&ask=gpu&replica-fails=0@1..2", "Outages and autoscalers");
  await refused("#v=1&num-prompts=60&ask=gpu&ask-by=concurrency", "Requests at once need objectives");
});

pageTest("a recommendation says what it knows so far, can be stopped, and asked again", async ({ page, open }) => {
  await open("#v=1&goodput=ttft:500,tpot:50&num-prompts=2000&ask=gpu");
  await page.getByTestId("gpu-compare").click();
  await status(page, / runs and more$/);
  await page.getByTestId("gpu-cancel").click();
  await status(page, /^Cancelled after/);
  await page.getByTestId("gpu-compare").click();
  await status(page, / runs and more$/);
  await page.getByTestId("gpu-cancel").click();
  await page.getByTestId("gpu-compare").waitFor();
});

pageTest("requests with times of their own, and a closed loop without objectives, are told what to do", async ({ page, open }) => {
  await open("#v=1&dataset-name=azure&num-prompts=60&ask=gpu");
  await page.getByTestId("gpu-compare").click();
  await page.getByTestId("gpu-headline").filter({ hasText: "--no-self-timed" }).waitFor();
  await open("#v=1&num-prompts=60&ask=gpu&ask-by=concurrency");
  await page.getByTestId("gpu-compare").click();
  await page.getByTestId("gpu-headline").filter({ hasText: "Requests at once need objectives" }).waitFor();
});

for (const [name, viewport, colorScheme] of [["desktop-light", DESKTOP, "light"], ["desktop-dark", DESKTOP, "dark"], ["phone-light", PHONE, "light"], ["phone-dark", PHONE, "dark"]]) {
  pageTest(`the answer fits, can be read and is read by keyboard: ${name}`, { viewport, colorScheme }, async ({ page, open }) => {
    await open(ASKED);
    await recommended(page);
    const [width, visible] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(width <= visible, `${width} pixels wide on ${visible}`);
    await page.getByTestId("gpu-fronts").locator(".plot-canvas").first().focus();
    await page.keyboard.press("ArrowRight");
    await page.getByTestId("gpu-fronts").getByText(/× .*: at [\d.,]+ .*US\$ per million output tokens: [\d.]+/).waitFor();
    await checkAccessible(page);
    await screenshot(page, `gpu-${name}`, { fullPage: true });
    await open(SPLITS);
    await divided(page);
    const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(wide <= seen, `${wide} pixels wide on ${seen}`);
    await checkAccessible(page);
    await screenshot(page, `splits-${name}`, { fullPage: true });
  });
}
