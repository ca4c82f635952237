// What the tests do on the page again and again: give it files, wait for the end of a run, read its digest.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** The simulator for the command line, which the page must agree with. */
export const PROFILER = process.env.PROFILER ?? `${ROOT}target/debug/profiler`;

/** A file of the repository. */
export const fileOf = (path) => readFileSync(ROOT + path);

export const PROFILE = JSON.parse(fileOf("www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json"));

/** Links whose runs are the same in every browser and on the command line. */
export const LINKS = [
  "#v=1&request-rate=30&num-prompts=400&max-num-seqs=32&random-range-ratio=0.5&seed=7&burstiness=0.5",
  "#v=1&dataset-name=azure&goodput=ttft:500,tpot:50",
  "#v=1&dataset-name=prefix_repetition&prefix-repetition-num-prefixes=5&request-rate=inf&num-prompts=200&max-concurrency=16",
  "#v=1&num-prompts=300&request-rate=inf&num-gpu-blocks-override=800&max-model-len=2048&no-enable-prefix-caching&scheduling-policy=priority",
];

/** A profile that is none of the site's: what is not attention takes `factor` times as long. */
export function ownProfile(factor = 1.5, change = () => {}) {
  const profile = structuredClone(PROFILE);
  const table = profile.step_time.non_attention;
  table.time_us = table.time_us.map((time) => time * factor);
  change(profile);
  return Buffer.from(JSON.stringify(profile));
}

/** Drops files on the page as a browser does: `files` are [name, content]. */
export async function drop(page, ...files) {
  await page.locator("main").drop({ files: files.map(asFile) });
}

/** Chooses files as behind the button "Open". */
export async function choose(page, ...files) {
  await page.getByTestId("open-file").setInputFiles(files.map(asFile));
}

function asFile([name, content]) {
  return { name, mimeType: "application/octet-stream", buffer: Buffer.from(content) };
}

/** Pastes a text where no field has the focus. */
export async function paste(page, text) {
  await page.evaluate((text) => {
    const data = new DataTransfer();
    data.setData("text/plain", text);
    document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
  }, text);
}

/** The notice that says all of this. */
export async function told(page, ...parts) {
  let notice = page.getByTestId("notice");
  for (const part of parts) notice = notice.filter({ hasText: part });
  await notice.first().waitFor();
  return notice.first();
}

/** Waits until what is shown is the run of what stands in the form, with how far it may be off where that is shown. */
export async function finished(page) {
  // Between a change of the form and its run, the status may still be that of the run before.
  await page.getByTestId("stale-line").waitFor({ state: "detached" });
  await page.getByTestId("run-status").filter({ hasText: /^Simulated in/ }).waitFor();
  await page.getByTestId("stale-line").waitFor({ state: "detached" });
  await page.getByTestId("range-why").filter({ hasText: "Simulating both ends…" }).waitFor({ state: "detached" });
}

/** Waits for the answer to "How much load?", and gives its sentence. */
export async function answered(page) {
  await page.getByTestId("load-status").filter({ hasText: /^\d+ loads, [\d,]+ runs, in / }).waitFor();
  return page.getByTestId("load-headline").innerText();
}

/** Opens a card that folds. */
export async function unfold(page, testid) {
  const card = page.getByTestId(testid);
  // Not by a click, which would move the focus.
  await card.evaluate((card) => { card.open = true; });
  return card;
}

/** The digest of the run that is shown; `after`: waits for another than this. */
export async function digestOf(page, after) {
  await finished(page);
  return digestNow(page, after);
}

/** The same, whether or not the form has changed since. */
export async function digestNow(page, after) {
  await unfold(page, "report");
  const shown = page.getByTestId("digest");
  await shown.filter({ hasText: /^[0-9a-f]{16}$/, hasNotText: after }).waitFor();
  return shown.textContent();
}

/** Every field of the form and every choice, by test name. */
export function formOf(page) {
  return page.evaluate(() =>
    Object.fromEntries(
      [...document.querySelectorAll("[data-testid=panels] :is(input, select, textarea)")].map((field) => [
        field.dataset.testid,
        field.tagName === "SELECT" ? field.selectedOptions[0]?.textContent : field.value,
      ]),
    ),
  );
}

export const field = (page, flag) => page.getByTestId(`field-${flag}`);

/** Types a value into the field of a flag, and waits for the run that follows. */
export async function edit(page, flag, value) {
  const control = field(page, flag);
  if (!(await control.isVisible())) {
    await control.evaluate((control) => {
      for (let folded = control.closest("details:not([open])"); folded; folded = control.closest("details:not([open])")) folded.open = true;
    });
  }
  await control.fill(value);
}

/** What `profiler simulate` says is the digest of a link's run. */
export async function digestOfProfiler(link, ...rest) {
  const { stdout } = await promisify(execFile)(PROFILER, ["simulate", "--link", link, ...rest], { maxBuffer: 1 << 26 });
  const [, digest] = stdout.match(/Digest of the run: +([0-9a-f]{16})/) ?? [];
  assert.ok(digest, stdout);
  return digest;
}

/** The file that `profiler simulate --save-result` writes of a link's run. */
export async function resultOfProfiler(link, ...rest) {
  const folder = mkdtempSync(`${tmpdir()}/result-`);
  try {
    await promisify(execFile)(PROFILER, ["simulate", "--link", link, "--save-result", "--result-dir", folder, "--result-filename", "result.json", ...rest]);
    return JSON.parse(readFileSync(`${folder}/result.json`));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** What `profiler capacity` answers about a link: its text, and its JSON file's members. */
export const capacityOfProfiler = (link, ...rest) => answer((file) => [PROFILER, ["capacity", "--link", link, "--quiet", "--output-json", file, ...rest]]);

/** What the command that the page shows answers. */
export const answerOfCommand = (command) => answer((file) => ["bash", ["-c", `"$0" ${command.replace(/^profiler /, "")} --quiet --output-json "$1"`, PROFILER, file]]);

/** What a program answers: its text, and the members of the JSON file that it is to write. */
async function answer(program) {
  const folder = mkdtempSync(`${tmpdir()}/answer-`);
  try {
    const file = `${folder}/answer.json`;
    const { stdout } = await promisify(execFile)(...program(file));
    return { text: stdout, ...JSON.parse(readFileSync(file)) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The share link, as the dialog has it. */
export async function shareLink(page) {
  await page.getByTestId("share").click();
  const link = await page.getByTestId("share-link").inputValue();
  await page.keyboard.press("Escape");
  return link;
}

/** What the browser saves when `act` is done: its name and content. */
export async function saved(page, act) {
  const [download] = await Promise.all([page.waitForEvent("download"), act()]);
  return { name: download.suggestedFilename(), content: readFileSync(await download.path()) };
}
