// Parts of the module that come when they are asked for: not before; and one that does not come is said, changes nothing,
// and is asked for again.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { WWW, site } from "./browser.mjs";
import { answered, digestOf, drop, field, fileOf, finished, formOf, paste, saved, told } from "./app.mjs";

const { pageTest } = site();
const RUN = "#v=1&request-rate=8&num-prompts=60";
const ASKED = ["dialogs", "files", "models", "reader", "setups", "texts"].map((part) => `pkg/${part}.wasm`);
const MISSING = /a part of the page did not load/;

pageTest("a first visit asks for nothing but what shows its answer, what happens for that and then for what stands below it", async ({ page, open, server }) => {
  server.requests.length = 0;
  const release = server.hold("pkg/more.wasm");
  try {
    await open();
    await answered(page);
    assert.deepEqual(server.requests.filter((file) => [...ASKED, "pkg/results.wasm"].includes(file)), []);
    await page.getByTestId("ask-what-if").click();
    await page.getByTestId("verdict-headline").waitFor();
    await page.getByTestId("distribution").locator(".plot-svg svg").first().waitFor();
    assert.equal(await page.getByTestId("over-time").count(), 0, "the answer waits for nothing below it");
  } finally {
    release();
  }
  await page.getByTestId("over-time").waitFor();
  await page.getByTestId("card-command").waitFor({ state: "attached" });
  await finished(page);
  // The address is written by what reads texts.
  assert.deepEqual(server.requests.filter((file) => ASKED.includes(file) && file !== "pkg/texts.wasm"), []);
});

pageTest("a dialog whose part does not come says so, and shows it at another try", async ({ page, open, server, allow }) => {
  await open(RUN);
  const digest = await digestOf(page);
  allow(/404/);
  allow(/part dialogs did not load/);
  server.replace("pkg/dialogs.wasm", undefined);
  await page.getByTestId("help").click();
  const dialog = page.getByRole("dialog", { name: "Help" });
  assert.match(await dialog.getByTestId("part-missing").innerText(), MISSING);
  server.restore();
  await dialog.getByTestId("part-again").click();
  await dialog.getByText("What the numbers mean").waitFor();
  assert.equal(await dialog.getByTestId("part-missing").count(), 0);
  await page.keyboard.press("Escape");
  assert.equal(await digestOf(page), digest);
});

pageTest("a part of another version is refused, not run", async ({ page, open, server, allow }) => {
  await open(RUN);
  await finished(page);
  allow(/another version than this page/);
  const part = readFileSync(`${WWW}pkg/dialogs.wasm`);
  // The build's name is what its first section holds, behind the section's own.
  const at = part.indexOf("build") + "build".length;
  part.write("0000000000000000", at);
  server.replace("pkg/dialogs.wasm", part);
  await page.getByTestId("share").click();
  assert.match(await page.getByTestId("part-missing").innerText(), MISSING);
});

pageTest("a command changes nothing while what reads it does not come", async ({ page, open, server, allow }) => {
  await open();
  await answered(page);
  const form = await formOf(page);
  allow(/404/);
  for (const part of ["reader", "texts"]) {
    allow(new RegExp(`part ${part} did not load`));
    server.replace(`pkg/${part}.wasm`, undefined);
    await paste(page, "vllm serve meta-llama/Llama-3.1-8B --max-num-seqs 8");
    const notice = await told(page, "did not load");
    await notice.getByTestId("notice-dismiss").click();
    assert.deepEqual(await formOf(page), form, part);
    server.restore();
  }
  await paste(page, "vllm serve meta-llama/Llama-3.1-8B --max-num-seqs 8");
  await told(page, "as a command");
  assert.equal(await field(page, "max-num-seqs").inputValue(), "8");
});

pageTest("a run's file is saved when what writes it comes after all", async ({ page, open, server, allow }) => {
  await open(RUN);
  const digest = await digestOf(page);
  allow(/404/);
  allow(/part files did not load/);
  server.replace("pkg/files.wasm", undefined);
  await page.getByTestId("export").click();
  await page.getByTestId("export-request-csv").click();
  await told(page, "did not load");
  server.restore();
  await page.getByTestId("export").click();
  const { content } = await saved(page, () => page.getByTestId("export-request-csv").click());
  assert.equal(content.toString().trim().split("\n").length, 61, "a row per request");
  assert.equal(await digestOf(page), digest);
});

pageTest("a profile is not taken while what checks it does not come", async ({ page, openWhatIf, server, allow }) => {
  await openWhatIf();
  const digest = await digestOf(page);
  allow(/404/);
  allow(/part models did not load/);
  server.replace("pkg/models.wasm", undefined);
  const profile = fileOf("www/profiles/amd-epyc-2-cores_llama-30m_bf16.json");
  await drop(page, ["mine.json", profile]);
  await told(page, "did not load");
  assert.equal(await digestOf(page), digest);
  server.restore();
  await drop(page, ["mine.json", profile]);
  await told(page, "as a profile");
  await digestOf(page, digest);
});
