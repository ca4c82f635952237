// Several engines under "What if?": the fleet card, each replica, routers side by side. Held against the command line.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { promisify } from "node:util";
import { PROFILER, digestOf, digestOfProfiler, edit, field, finished, saved, shareLink } from "./app.mjs";
import { DESKTOP, PHONE, SHOTS, checkAccessible, screenshot, site } from "./browser.mjs";

const { pageTest } = site();

const ONE = "#v=1&dataset-name=prefix_repetition&num-prompts=200&request-rate=40&max-num-seqs=16&seed=3";
const FOUR = `${ONE}&replicas=4&router=random`;

/** The file of `profiler simulate --replicas-json`, and what is printed. */
async function enginesOfProfiler(link, ...rest) {
  const folder = mkdtempSync(`${tmpdir()}/engines-`);
  try {
    const file = `${folder}/engines.json`;
    const { stdout } = await promisify(execFile)(PROFILER, ["simulate", "--link", link, "--quiet", "--replicas-json", file, ...rest]);
    return { text: stdout, ...JSON.parse(readFileSync(file)) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The rows of a table: the texts of its cells. */
const rowsOf = (page, testid) =>
  page.getByTestId(testid).locator("tbody tr").evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.innerText.replace(/\s+/g, " ").trim())));

const count = (text) => Number(text.replaceAll(",", ""));

/** Opens the fleet card. */
async function openFleet(page) {
  const card = page.getByTestId("card-fleet");
  await card.waitFor();
  await card.evaluate((card) => { card.open = true; });
  return card;
}

pageTest("a fleet of one is the plain run, and of four the command line's, replica by replica", async ({ page, open }) => {
  await open(ONE);
  const alone = await digestOf(page);
  assert.equal(await page.getByTestId("replicas").count(), 0, "one engine has no card of replicas");
  await openFleet(page);
  assert.equal(await page.getByTestId("fleet-short").innerText(), "one engine");
  await edit(page, "replicas", "1");
  assert.equal(await digestOf(page), alone, "of one");
  await edit(page, "replicas", "4");
  await field(page, "router").selectOption("random");
  await page.getByTestId("replicas").waitFor();
  const digest = await digestOf(page, alone);
  assert.equal(digest, await digestOfProfiler(FOUR), "as on the command line");
  assert.match(await page.getByTestId("router-about").innerText(), /random: Any replica, each as likely\. Source: vllm-router/);
  const { text: _, ...expect } = await enginesOfProfiler(FOUR);
  const rows = await rowsOf(page, "replicas-table");
  assert.deepEqual(rows.map((row) => row[0]), ["replica 0", "replica 1", "replica 2", "replica 3"]);
  assert.deepEqual(rows.map((row) => count(row[2])), expect.replicas.map((one) => one.num_requests));
  assert.deepEqual(rows.map((row) => count(row[3])), expect.replicas.map((one) => one.num_output_tokens));
  assert.equal(await page.getByTestId("imbalance-requests").innerText(), expect.imbalance.requests.toFixed(3));
  assert.equal(await page.getByTestId("imbalance-output-tokens").innerText(), expect.imbalance.output_tokens.toFixed(3));
  for (const title of ["Running requests of each", "Waiting requests of each", "KV cache usage of each"]) {
    assert.match(await page.getByRole("img", { name: title }).first().getAttribute("aria-label"), /replica 0 up to .*replica 3 up to/, title);
  }
  await page.getByTestId("export").click();
  const file = await saved(page, () => page.getByTestId("export-engines-json").click());
  assert.match(file.name, /\.replicas\.json$/);
  assert.deepEqual(JSON.parse(file.content), expect, "the file of --replicas-json");
});

pageTest("routers are compared as by --compare-routers all, and one of them can be used", async ({ page, open }) => {
  await open(FOUR);
  await digestOf(page);
  await page.getByTestId("compare-routers").click();
  await page.getByTestId("routers-table").waitFor({ timeout: 60_000 });
  const { routers } = await enginesOfProfiler(ONE, "--replicas", "4", "--compare-routers", "all");
  const rows = await rowsOf(page, "routers-table");
  assert.deepEqual(rows.map((row) => row[0]), routers.map((router) => router.router));
  const digests = await page.getByTestId("routers-table").locator("tbody tr").evaluateAll((rows) => rows.map((row) => row.dataset.digest));
  assert.deepEqual(digests, routers.map((router) => router.digest), "the same runs");
  const ms = (text) => parseFloat(text) * { s: 1000, ms: 1, "µs": 0.001 }[text.split(" ")[1]];
  for (const [place, router] of routers.entries()) {
    const { ttft, tpot, e2el } = router.latencies;
    const expect = [ttft.p50_s, ttft.p99_s, tpot.p50_s, tpot.p99_s, e2el.p50_s, e2el.p99_s];
    for (const [column, seconds] of expect.entries()) {
      const shown = rows[place][column + 1].replace(" (best)", "");
      assert.ok(Math.abs(ms(shown) / 1000 / seconds - 1) < 0.006, `${router.router}: ${shown} is not ${seconds} s`);
    }
    assert.ok(Math.abs(parseFloat(rows[place][9]) - router.imbalance.output_tokens) < 0.0006, router.router);
  }
  assert.match(rows[1].at(-1), /in the form/);
  await page.getByTestId("router-row-kv-cost").getByRole("button", { name: "Use kv-cost" }).click();
  assert.equal(await field(page, "router").inputValue(), "kv-cost");
  assert.equal(await digestOf(page, digests[1]), digests.at(-1), "the run of the row");
  assert.equal(await page.getByTestId("routers-table").count(), 1, "the table is of every router: it stays");
  await edit(page, "seed", "4");
  await page.getByTestId("routers-table").waitFor({ state: "detached" });
});

pageTest("a comparison that takes long can be stopped, and asked for again", async ({ page, open }) => {
  await open(FOUR.replace("num-prompts=200", "num-prompts=6000"));
  await page.getByTestId("replicas").waitFor({ timeout: 60_000 });
  await page.getByTestId("compare-routers").click();
  await page.getByTestId("routers-cancel").click();
  await page.getByTestId("routers-status").filter({ hasText: /^Cancelled after \d of 9 routers\.$/ }).waitFor();
  assert.equal(await page.getByTestId("routers-table").count(), 0);
  await page.getByTestId("compare-routers").waitFor();
});

pageTest("a link restores the fleet, and each kind is what its flags say", async ({ page, open }) => {
  await open(`${ONE}&prefill-replicas=1&decode-replicas=2&kv-transfer-bandwidth=25`);
  const roles = await digestOf(page);
  assert.equal(roles, await digestOfProfiler(`${ONE}&prefill-replicas=1&decode-replicas=2&kv-transfer-bandwidth=25`));
  assert.equal(await page.getByTestId("fleet-short").innerText(), "1 prefill, 2 decode");
  assert.ok(await page.getByTestId("fleet-roles").isChecked());
  assert.equal(await field(page, "kv-transfer-bandwidth").inputValue(), "25");
  assert.deepEqual((await rowsOf(page, "replicas-table")).map((row) => row[0]), ["prefill 0", "decode 0", "decode 1"]);
  assert.match((await page.getByTestId("replicas-note").allInnerTexts()).join(" "), /KV transfers: 200,/);
  assert.equal(await page.getByTestId("compare-routers").count(), 0, "routers are compared over replicas");
  await page.getByTestId("fleet-replicas").check({ force: true });
  await digestOf(page, roles);
  const link = new URL(await shareLink(page)).hash;
  assert.match(link, /[&]replicas=2/);
  assert.doesNotMatch(link, /prefill|decode|kv-transfer/);
  const again = await digestOf(page);
  await open(link);
  assert.equal(await digestOf(page), again, "the link is the run");
});

pageTest("ranks that step together are the command line's, and so are replicas of them", async ({ page, open }) => {
  const model = "#v=1&model=Qwen/Qwen3-30B-A3B&gpu=h100-sxm&num-prompts=80&request-rate=20";
  for (const [fleet, short, first] of [
    ["data-parallel-size=2", "2 ranks", "rank 0"],
    ["data-parallel-size=2&replicas=2", "2 replicas, round-robin", "replica 0.0"],
    ["prefill-replicas=1&decode-replicas=1&data-parallel-size=2", "1 prefill, 1 decode", "prefill 0.0"],
  ]) {
    const link = `${model}&${fleet}`;
    await open(link);
    assert.equal(await digestOf(page), await digestOfProfiler(link), fleet);
    assert.equal(await page.getByTestId("fleet-short").innerText(), short);
    assert.equal((await rowsOf(page, "replicas-table"))[0][0], first);
    assert.match((await page.getByTestId("replicas-note").allInnerTexts()).join(" "), /lockstep|step together/, fleet);
    // The same page would take the next link for a change of its fragment.
    await page.goto("about:blank");
  }
});

pageTest("ranks of a dense model are the command line's, each an engine of its own", async ({ page, open }) => {
  await open(ONE);
  const alone = await digestOf(page);
  await openFleet(page);
  await page.getByTestId("fleet-ranks").check({ force: true });
  const two = await digestOf(page, alone);
  assert.equal(two, await digestOfProfiler(`${ONE}&data-parallel-size=2`), "as on the command line");
  assert.match(await page.getByTestId("fleet-kind-said").innerText(), /each with the whole model/);
  assert.equal(await field(page, "dp-sync-interval").count(), 0, "nobody waits for others");
  await edit(page, "data-parallel-size", "4");
  const balanced = await digestOf(page, two);
  assert.equal(balanced, await digestOfProfiler(`${ONE}&data-parallel-size=4`), "behind vLLM's balancer");
  await field(page, "data-parallel-external-lb").selectOption("true");
  await page.getByTestId("router-about").waitFor();
  const link = new URL(await shareLink(page)).hash;
  assert.match(link, /[&]data-parallel-size=4/);
  const routed = ["--data-parallel-size", "4", "--data-parallel-external-lb"];
  const digest = await digestOf(page, balanced);
  assert.equal(digest, await digestOfProfiler(ONE, ...routed), "behind a router");
  const { text: _, ...expect } = await enginesOfProfiler(ONE, ...routed);
  const rows = await rowsOf(page, "replicas-table");
  assert.deepEqual(rows.map((row) => row[0]), ["rank 0", "rank 1", "rank 2", "rank 3"]);
  assert.deepEqual(rows.map((row) => count(row[2])), expect.ranks.map((one) => one.num_requests));
  assert.equal(await page.getByTestId("imbalance-requests").innerText(), expect.imbalance.requests.toFixed(3));
  assert.match(await page.getByRole("img", { name: "KV cache usage of each" }).first().getAttribute("aria-label"), /rank 0 up to .*rank 3 up to/);
  assert.doesNotMatch((await page.getByTestId("replicas-note").allInnerTexts()).join(" "), /lockstep|step together/);
  await page.getByTestId("ask-load").click();
  await page.getByTestId("load-failure").filter({ hasText: "--data-parallel-size is not simulated" }).waitFor();
  for (const rest of ["data-parallel-size=2&replicas=2", "prefill-replicas=1&decode-replicas=1&data-parallel-size=2"]) {
    await page.goto("about:blank");
    await open(`${ONE}&${rest}`);
    assert.equal(await digestOf(page), await digestOfProfiler(`${ONE}&${rest}`), rest);
  }
  await page.goto("about:blank");
  await open(link);
  assert.equal(await digestOf(page), digest, "the link is the run");
});

pageTest("what cannot be is refused at its field, and the results stay", async ({ page, open }) => {
  await open(FOUR);
  const digest = await digestOf(page);
  await openFleet(page);
  await edit(page, "replicas", "0");
  assert.match(await page.getByTestId("error-replicas").innerText(), /--replicas "0": a whole number from 1 to 1024/);
  await edit(page, "replicas", "4");
  await edit(page, "replica-fails", "4@1..2");
  assert.match(await page.getByTestId("error-replica-fails").innerText(), /there is no replica 4; with 4 they have the numbers 0 to 3/);
  await edit(page, "replica-fails", "");
  assert.equal(await digestOf(page), digest, "as before");
  // Questions over many runs are of one engine, and say so.
  await page.getByTestId("ask-load").click();
  await page.getByTestId("load-failure").filter({ hasText: "--replicas is not simulated: this asks about one engine" }).waitFor();
});

for (const [name, viewport, colorScheme] of [["desktop-light", DESKTOP, "light"], ["desktop-dark", DESKTOP, "dark"], ["phone-light", PHONE, "light"], ["phone-dark", PHONE, "dark"]]) {
  pageTest(`a fleet fits and can be read: ${name}`, { viewport, colorScheme }, async ({ page, open }) => {
    await open(FOUR.replace("num-prompts=200", "num-prompts=600"));
    await finished(page);
    await openFleet(page);
    await page.getByTestId("compare-routers").click();
    await page.getByTestId("routers-table").waitFor({ timeout: 60_000 });
    const [width, visible] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(width <= visible, `${width} pixels wide on ${visible}`);
    await checkAccessible(page);
    await page.getByTestId("card-fleet").scrollIntoViewIfNeeded();
    await screenshot(page, `fleet-form-${name}`);
    await page.getByTestId("replicas").screenshot({ path: `${SHOTS}fleet-replicas-${name}.png` });
    await page.getByTestId("routers").screenshot({ path: `${SHOTS}fleet-routers-${name}.png` });
  });
}
