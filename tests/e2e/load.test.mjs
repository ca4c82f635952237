// "How much load?": the answer is the command line's, fills in while it runs, follows the form, and can be stopped.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { PROFILER, answered, capacityOfProfiler, edit, field, shareLink } from "./app.mjs";
import { DESKTOP, PHONE, checkAccessible, screenshot, site } from "./browser.mjs";

const { pageTest } = site({ prefix: "/somebody/simulator/" });

const OBJECTIVES = "#v=1&goodput=ttft:500,tpot:50";

pageTest("the answer is that of the command line: same sentence, same loads, same runs", async ({ page, open }) => {
  for (const [link, ...rest] of [
    [`${OBJECTIVES}&num-prompts=300&ask=load`],
    [`${OBJECTIVES}&num-prompts=200&ask=load&ask-by=concurrency&ask-share=0.95&ask-seeds=3`, "--by", "concurrency", "--share", "0.95", "--num-seeds", "3"],
    [`${OBJECTIVES}&dataset-name=sessions&ask=load&ask-by=users&ask-seeds=1`, "--by", "users", "--num-seeds", "1"],
  ]) {
    await page.goto("about:blank");
    await open(link);
    const sentence = await answered(page);
    const expect = await capacityOfProfiler(link, ...rest);
    assert.ok(expect.text.startsWith(`${sentence.replace(/^[✓✗]\s*/, "")}\n`), `${sentence}\n${expect.text}`);
    assert.ok(expect.curve.length >= 10 && expect.curve.length <= 60, `${expect.curve.length} loads`);
    assert.match(await page.getByTestId("load-status").innerText(), new RegExp(`^${expect.curve.length} loads, `));
    assert.equal(await page.getByTestId("load-digest").innerText(), expect.digest, "every run of every load");
  }
});

pageTest("the command that is shown says the same", async ({ page, open }) => {
  await open(`${OBJECTIVES}&num-prompts=200&max-num-seqs=24&request-rate=3&ask=load&ask-seeds=3`);
  const sentence = await answered(page);
  const command = await page.getByTestId("load-command").innerText();
  assert.match(command, /^profiler capacity --num-seeds 3 /);
  assert.doesNotMatch(command, /request-rate/);
  const words = command.replaceAll("\\\n", " ").split(/\s+/).slice(1).map((word) => word.replaceAll("'", ""));
  const { stdout } = await promisify(execFile)(PROFILER, [...words, "--quiet"]);
  assert.ok(stdout.startsWith(`${sentence.replace(/^[✓✗]\s*/, "")}\n`), `${sentence}\n${stdout}`);
});

pageTest("an edit asks again, what changes nothing does not, and the address carries the question", async ({ page, open }) => {
  await open(`${OBJECTIVES}&num-prompts=200`);
  assert.equal(await page.getByTestId("answer-load").isVisible(), false, "links of before ask what happens");
  await page.getByTestId("ask-load").click();
  assert.equal(await page.getByTestId("results").isVisible(), false);
  const before = await answered(page);
  assert.match(new URL(page.url()).hash, /&ask=load(&|$)/);
  await edit(page, "max-num-seqs", "8");
  await page.getByTestId("load-headline").filter({ hasText: /^[✓✗]/, hasNotText: before.slice(3) }).waitFor();
  const few = await answered(page);
  assert.ok(parseFloat(few.split("Carries ")[1]) < parseFloat(before.split("Carries ")[1]), `${few} ${before}`);
  const status = await page.getByTestId("load-status").innerText();
  await edit(page, "request-rate", "2");
  await page.waitForTimeout(600);
  assert.equal(await page.getByTestId("load-status").innerText(), status, "the rate is what is searched");
  const link = await shareLink(page);
  await page.getByTestId("ask-what-if").click();
  assert.equal(await page.getByTestId("results").isVisible(), true);
  await page.goto("about:blank");
  await open(link.slice(link.indexOf("#")));
  assert.equal(await answered(page), few, "opened again");
  assert.equal(await field(page, "max-num-seqs").inputValue(), "8");
});

pageTest("partial answers come while it runs, the page stays responsive, and it can be stopped and go on", async ({ page, open }) => {
  await open(`${OBJECTIVES}&num-prompts=4000&ask=load`, { ready: true });
  await page.evaluate(() => {
    globalThis.longest = 0;
    new PerformanceObserver((list) => list.getEntries().forEach(({ duration }) => { globalThis.longest = Math.max(globalThis.longest, duration); }))
      .observe({ type: "longtask" });
  });
  await page.getByTestId("load-status").filter({ hasText: /^\d+ of about \d+ runs: partial answer$/ }).waitFor();
  assert.match(await page.getByTestId("load-headline").innerText(), /So far: /);
  await page.getByTestId("load-cancel").click();
  await page.getByTestId("load-status").filter({ hasText: /^Cancelled after \d+ runs/ }).waitFor();
  const stopped = await page.getByTestId("load-status").innerText();
  await page.waitForTimeout(500);
  assert.equal(await page.getByTestId("load-status").innerText(), stopped, "nothing goes on");
  await page.getByTestId("load-again").click();
  await answered(page);
  const longest = await page.evaluate(() => globalThis.longest);
  console.log(`longest task while searching: ${longest.toFixed(0)} ms`);
  // Searching takes many seconds in all; other programs may hold a task up for some tenths of one.
  assert.ok(longest < 1000, `the page's thread was held up for ${longest} ms`);
});

pageTest("what cannot be answered says why, and what to do", async ({ page, open }) => {
  await open("#v=1&dataset-name=azure&goodput=ttft:500,tpot:50&ask=load&ask-seeds=1");
  await page.getByTestId("load-failure").filter({ hasText: "requests have times of their own" }).waitFor();
  await page.getByTestId("load-at-a-rate").click();
  await answered(page);
  await page.goto("about:blank");
  await open("#v=1&num-prompts=50&ask=load&ask-by=concurrency");
  await page.getByTestId("load-failure").filter({ hasText: "Requests at once need objectives" }).waitFor();
  await page.getByTestId("ask-by-rate").click();
  assert.match(await answered(page), /before its queue stops emptying \(no --goodput was given\)/);
  await page.goto("about:blank");
  await open(`${OBJECTIVES}&ask=load&ask-seeds=1`);
  await page.getByTestId("ask-by-users").click();
  await page.getByTestId("load-failure").filter({ hasText: "Users read, think, and ask again" }).waitFor();
  await page.getByTestId("load-with-sessions").click();
  assert.match(await answered(page), /Carries \d+ users /);
  assert.match(new URL(page.url()).hash, /&ask-by=users&.*dataset-name=sessions/);
  assert.match(await page.getByTestId("load-command").innerText(), /^profiler capacity --by users --num-seeds 1 /);
  await page.goto("about:blank");
  await open("#v=1&num-prompts=50&goodput=ttft:1,tpot:1&ask=load&ask-seeds=1");
  assert.match(await answered(page), /Carries nothing with 99 % of requests within TTFT 1 ms, TPOT 1 ms: not even/);
});

for (const [name, viewport, colorScheme] of [["desktop-light", DESKTOP, "light"], ["desktop-dark", DESKTOP, "dark"], ["phone-light", PHONE, "light"], ["phone-dark", PHONE, "dark"]]) {
  pageTest(`the answer fits and can be read: ${name}`, { viewport, colorScheme }, async ({ page, open }) => {
    await open(`${OBJECTIVES}&ask=load`);
    console.log(`${name}: ${await answered(page)} ${await page.getByTestId("load-status").innerText()}`);
    const [width, visible] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(width <= visible, `${width} pixels wide on ${visible}`);
    await checkAccessible(page);
    await screenshot(page, `load-${name}`, { fullPage: true });
  });
}
