// Links: the same run for everybody who opens them, and on the command line.
import assert from "node:assert/strict";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { site } from "./browser.mjs";
import { LINKS, digestOf, digestOfProfiler, drop, edit, fileOf, formOf, ownProfile, saved, shareLink, told } from "./app.mjs";

const { pageTest } = site({ prefix: "/some/path/" });

const mooncake = fileOf("tests/data/bench_serve/timed_trace_mooncake.jsonl");

/** The link is opened by another user, who sees the very same run; and `profiler` simulates it. */
async function isSameEverywhere({ page, newContext, open }) {
  const digest = await digestOf(page);
  const link = await shareLink(page);
  assert.ok(link.startsWith(page.url().split("#")[0]), "the link is of this page");
  const other = await (await newContext()).newPage();
  await open(link.slice(link.indexOf("#")), { page: other });
  assert.equal(await digestOf(other), digest, "opened by another user");
  assert.equal(await other.getByTestId("example-line").count(), 0);
  assert.deepEqual(await flagsOf(other), await flagsOf(page));
  assert.equal(await digestOfProfiler(link), digest, "profiler simulate --link");
  return link;
}

async function flagsOf(page) {
  const form = await formOf(page);
  // The option of an own profile is named after where it comes from.
  return Object.fromEntries(Object.entries(form).filter(([name]) => name !== "profile-select"));
}

pageTest("the example's link is the same run for others and for the command line", async (all) => {
  await all.openWhatIf();
  const link = await isSameEverywhere(all);
  assert.match(link, /#v=1&.*request-rate=8/);
});

for (const fragment of LINKS) {
  pageTest(`${fragment} is the same run for others and for the command line`, async (all) => {
    await all.open(fragment);
    await isSameEverywhere(all);
  });
}

pageTest("an own profile and a dropped trace travel inside the link", async (all) => {
  await all.openWhatIf();
  const before = await digestOf(all.page);
  await drop(all.page, ["mine.json", ownProfile()]);
  await told(all.page, "Read mine.json as a profile");
  const own = await digestOf(all.page, before);
  await drop(all.page, ["mooncake.jsonl", mooncake]);
  await told(all.page, "Mooncake trace");
  await digestOf(all.page, own);
  const link = await isSameEverywhere(all);
  for (const part of ["profile-z=", "dataset-z=", "profile=mine", "dataset-path=mooncake.jsonl"]) assert.ok(link.includes(part), part);
});

pageTest("what does not fit into a link is said, and by whom it is needed", async ({ page, openWhatIf }) => {
  await openWhatIf();
  const before = await digestOf(page);
  // Numbers that hardly deflate.
  let state = 1;
  const next = () => (state = (state * 48271) % 2147483647);
  const rows = Array.from({ length: 30_000 }, (_, i) => `2023-11-16 18:${String(10 + Math.floor(i / 3000)).padStart(2, "0")}:${String(Math.floor((i % 3000) / 50)).padStart(2, "0")}.${String(1e6 + (i % 50) * 1e4).slice(1)}0,${1 + (next() % 1000)},${1 + (next() % 20)}`);
  await drop(page, ["large.csv", `TIMESTAMP,ContextTokens,GeneratedTokens\n${rows.join("\n")}\n`]);
  await told(page, "Azure trace: 30000 requests");
  await digestOf(page, before);
  await page.getByTestId("share").click();
  await page.getByTestId("share-incomplete").waitFor();
  assert.match(await page.getByTestId("share-facts").innerText(), /too large for a link[^]*drop the file large\.csv/);
});

pageTest("a scenario file is the run again when it is dropped, and on the command line", async ({ page, open, openWhatIf, newContext }) => {
  await open("#v=1&request-rate=4&num-prompts=60");
  const before = await digestOf(page);
  await drop(page, ["mine.json", ownProfile(2)]);
  await told(page, "Read mine.json");
  await edit(page, "max-num-seqs", "6");
  const digest = await digestOf(page, before);
  await page.getByTestId("export").click();
  const { name, content } = await saved(page, () => page.getByTestId("export-scenario").click());
  assert.equal(name, "scenario.vllmsim.txt");
  const other = await (await newContext()).newPage();
  await openWhatIf({ page: other });
  const example = await digestOf(other);
  await drop(other, [name, content]);
  await told(other, "as a scenario");
  assert.equal(await digestOf(other, example), digest);
  assert.equal(await digestOfProfiler(content.toString().trim()), digest);
});

pageTest("a profile that the command line reads from its file gives the page's digest", async ({ page, open }) => {
  const file = join(mkdtempSync(join(tmpdir(), "page-test-")), "mine.json");
  writeFileSync(file, ownProfile(3));
  await open("#v=1&request-rate=4&num-prompts=60");
  const before = await digestOf(page);
  await drop(page, ["mine.json", ownProfile(3)]);
  await told(page, "Read mine.json");
  assert.equal(await digestOf(page, before), await digestOfProfiler("#v=1&request-rate=4&num-prompts=60", "--profile", file));
});

pageTest("a link that is put into the address bar of the open page is run", async ({ page, openWhatIf }) => {
  await openWhatIf();
  const before = await digestOf(page);
  await page.evaluate(() => { location.hash = "#v=1&request-rate=2&num-prompts=30"; });
  await digestOf(page, before);
  assert.equal(await page.getByTestId("field-num-prompts").inputValue(), "30");
});
