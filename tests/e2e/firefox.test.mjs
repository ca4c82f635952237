// What a user of Firefox does first, and that it comes to the same there.
import assert from "node:assert/strict";
import { LINKS, answerOfCommand, capacityOfProfiler, digestOfProfiler, formOf, ownProfile } from "./app.mjs";
import { DESKTOP, PHONE } from "./browser.mjs";
import { choose, click, count, digestOf, drop, edit, finished, paste, screenshot, shareLink, site, text, told, until, valueOf } from "./firefox.mjs";

const { pageTest } = site({ prefix: "/some/path/" });

pageTest("a first visit shows the results of an example, drawn and called that", async ({ page, open }) => {
  await open();
  assert.equal(new URL(page.url()).hash, "", "the example is no link");
  await click(page, "ask-what-if");
  await finished(page);
  assert.match(await text(page, "example-line"), /Example data/);
  assert.equal(await text(page, "simulated-chip"), "SIMULATED, not measured");
  assert.match(await text(page, "verdict-headline"), /(Meets the objectives|Misses): .*of requests within ttft ≤ 500 ms and tpot ≤ 50 ms/);
  for (const key of ["ttft", "tpot", "itl", "e2el"]) assert.match(await text(page, `${key}-p99`), /^[\d.,]+ (ms|s)$/);
  await until("the plots are drawn", async () => (await page.$$(".plot-svg svg")).length >= 3);
});

pageTest("an edited field starts a run, which is the command line's", async ({ page, openWhatIf }) => {
  await openWhatIf();
  const before = await digestOf(page);
  await edit(page, "max-num-seqs", "4");
  const after = await digestOf(page, before);
  assert.equal(await count(page, "example-line"), 0);
  await until("the address carries the run", () => /#v=1&.*max-num-seqs=4(&|$)/.test(page.url()));
  assert.equal(await digestOfProfiler(page.url()), after);
  await click(page, "reset-max-num-seqs");
  assert.equal(await digestOf(page, after), before, "the same settings have the same digest again");
});

pageTest("links are the same runs as in Chromium and on the command line", async ({ page, open }) => {
  let before;
  for (const fragment of LINKS) {
    await open(fragment);
    before = await digestOf(page, before);
    assert.equal(before, await digestOfProfiler(`http://page.example/${fragment}`), fragment);
  }
});

pageTest("commands can be pasted anywhere, and fill the form", async ({ page, openWhatIf }) => {
  await openWhatIf();
  let before = await digestOf(page);
  for (const [command, flag, value] of [
    ["vllm serve meta-llama/Llama-3.1-8B \\\n  --max-num-seqs 4", "max-num-seqs", "4"],
    ["vllm bench serve --request-rate 3 --num-prompts 30", "request-rate", "3"],
  ]) {
    await paste(page, command);
    await told(page, "Read pasted text as a command");
    before = await digestOf(page, before);
    assert.equal(await valueOf(page, `field-${flag}`), value, command);
  }
});

for (const [way, give] of [["dropped", drop], ["chosen", choose]]) {
  pageTest(`a profile that is ${way} is used`, async ({ page, open }) => {
    await open("#v=1&request-rate=4&num-prompts=50");
    const before = await digestOf(page);
    await give(page, ["mine.json", ownProfile()]);
    await told(page, "Read mine.json as a profile: meta-llama/Llama-3.1-8B on NVIDIA H100", "derived");
    await digestOf(page, before);
    assert.match(await text(page, "provenance"), /profile mine \(yours\)/);
  });
}

pageTest("a link is the same run for another user, an own profile in it", async ({ page, open, newPage }) => {
  await open("#v=1&request-rate=4&num-prompts=50");
  const before = await digestOf(page);
  await drop(page, ["mine.json", ownProfile()]);
  await told(page, "Read mine.json as a profile");
  const own = await digestOf(page, before);
  const link = await shareLink(page);
  assert.ok(link.startsWith(page.url().split("#")[0]), "the link is of this page");
  const other = await newPage();
  await open(link.slice(link.indexOf("#")), { page: other });
  assert.equal(await digestOf(other), own, "opened by another user");
  const [mine, theirs] = [await formOf(page), await formOf(other)];
  // The option of an own profile is named after where it comes from.
  assert.deepEqual({ ...theirs, "profile-select": "" }, { ...mine, "profile-select": "" });
  assert.equal(await digestOfProfiler(link), own, "profiler simulate --link");
});

pageTest("how much load is answered as in Chromium and on the command line", async ({ page, open }) => {
  const link = "#v=1&goodput=ttft:500,tpot:50&num-prompts=200&ask=load&ask-seeds=2";
  await open(link);
  await until("loads were tried", async () => /^\d+ loads, \d+ runs, in /.test(await text(page, "load-status").catch(() => "")));
  const { digest } = await capacityOfProfiler(link, "--num-seeds", "2");
  assert.equal(await text(page, "load-digest"), digest, "every run of every load");
  await click(page, "ask-flags");
  await until("steps were tried", async () => /^\d+ setups, in /.test(await text(page, "flags-status").catch(() => "")));
  assert.match(await text(page, "flags-headline"), /helps most|No single step helps/);
});

pageTest("which GPU is answered as on the command line", async ({ page, open }) => {
  await open("#v=1&goodput=ttft:500,tpot:50&num-prompts=60&ask=gpu&ask-seeds=1");
  await until("GPUs can be compared", () => page.$eval("[data-testid=gpu-compare]", (button) => !button.disabled).catch(() => false));
  await click(page, "gpu-compare");
  await until("setups were tried", async () => /^\d+ setups, .* runs, in /.test(await text(page, "gpu-status").catch(() => "")));
  const { digest } = await answerOfCommand(await text(page, "gpu-command"));
  assert.equal(await text(page, "gpu-digest"), digest, "the same runs");
});

for (const [width, viewport] of Object.entries({ 390: PHONE, 1600: DESKTOP })) {
  pageTest(`the page is dark where the system is, and fits ${width} px`, { viewport, colorScheme: "dark" }, async ({ page, openWhatIf }) => {
    await openWhatIf();
    await finished(page);
    const [background, overflow] = await page.evaluate(() => [
      getComputedStyle(document.body).backgroundColor,
      document.documentElement.scrollWidth - innerWidth,
    ]);
    assert.ok(Math.max(...background.match(/\d+/g).map(Number).slice(0, 3)) < 64, background);
    assert.equal(await page.evaluate(() => innerWidth), Number(width));
    assert.ok(overflow <= 0, `${overflow} px too wide`);
    await screenshot(page, `firefox-${width}-dark`);
  });
}

// What the tests above rest on.
pageTest("a fault on the page, in a worker or of the policy fails a test", async ({ page, openWhatIf, server, allow }) => {
  allow(/^console: logged$/);
  allow(/^uncaught: .*thrown/);
  allow(/^uncaught: .*connect-src/);
  allow(/^console: of a worker$/);
  allow(/^request to another origin: http:\/\/elsewhere\.example\/$/);
  // A worker is not under the page's policy, so that its request is sent.
  server.replace("faulty.js", 'console.warn("of a worker"); fetch("http://elsewhere.example/").catch(() => postMessage("failed"));');
  await openWhatIf();
  await page.evaluate(async () => {
    console.error("logged");
    setTimeout(() => { throw new Error("thrown"); });
    await fetch("https://elsewhere.example/").catch(() => {});
    await new Promise((failed) => { new Worker("faulty.js").onmessage = failed; });
  });
});
