// "Which flags?", whose rows are setups whose capacity the command line gives, too; and what all questions have in common.
import assert from "node:assert/strict";
import { capacityOfProfiler, field } from "./app.mjs";
import { DESKTOP, PHONE, checkAccessible, screenshot, site } from "./browser.mjs";

const { pageTest } = site({ prefix: "/somebody/simulator/" });

/** A small engine, so that its flags matter; few requests, so that tests are quick. */
const SMALL = "#v=1&goodput=ttft:500,tpot:50&num-prompts=150&max-num-seqs=16";

/** What `profiler capacity` says is carried. */
const carried = async (link, ...flags) => (await capacityOfProfiler(link, ...flags)).capacity;

const answered = (page, question) => page.getByTestId(`${question}-status`).filter({ hasText: /^\d+ setups, in / }).waitFor();

/** The rows of a table: the texts of its cells. */
const rowsOf = (page, testid) =>
  page.getByTestId(testid).locator("tbody tr").evaluateAll((rows) => rows.map((row) => [...row.cells].map((cell) => cell.innerText.trim())));

function near(shown, exact) {
  assert.ok(Math.abs(parseFloat(shown.replaceAll(",", "")) / exact - 1) < 0.006, `${shown} is not ${exact}`);
}

pageTest("each step of a flag carries what the command line says, and the best can be applied", async ({ page, open }) => {
  await open(`${SMALL}&ask=flags`);
  await answered(page, "flags");
  console.log(await page.getByTestId("flags-headline").innerText(), await page.getByTestId("flags-status").innerText());
  const rows = await rowsOf(page, "flags-table");
  assert.ok(rows.length >= 7, `${rows.length} rows`);
  const changes = rows.map((row) => (row[3] === "same" || row[3] === "" ? 0 : parseFloat(row[3].replace("−", "-"))));
  assert.deepEqual(changes, [...changes].sort((a, b) => b - a), "the best first");
  for (const row of rows.slice(0, 2)) near(row[2], await carried(SMALL, "--num-seeds", "2", ...row[0].split(/\s+/)));
  assert.match(rows[0][0], /--max-num-seqs 32/, "16 places are too few");
  assert.match(await page.getByTestId("flags-headline").innerText(), /--max-num-seqs 32 helps most: carries [\d.]+ requests\/s instead of/);
  assert.match(await page.getByTestId("flags-command").innerText(), /^vllm serve [^]*--max-num-seqs 32/);
  await page.getByRole("button", { name: "Apply --max-num-seqs 32" }).click();
  assert.equal(await field(page, "max-num-seqs").inputValue(), "32");
  await page.getByTestId("flags-table").getByText("--max-num-seqs 64").waitFor();
  await answered(page, "flags");
  assert.match(new URL(page.url()).hash, /ask=flags/);
});

for (const [name, viewport, colorScheme] of [["desktop-light", DESKTOP, "light"], ["phone-dark", PHONE, "dark"]]) {
  pageTest(`flags fit and can be read: ${name}`, { viewport, colorScheme }, async ({ page, open }) => {
    await open("#v=1&goodput=ttft:500,tpot:50&ask=flags");
    await answered(page, "flags");
    console.log(name, await page.getByTestId("flags-headline").innerText(), await page.getByTestId("flags-status").innerText());
    const [width, visible] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(width <= visible, `${width} pixels wide on ${visible}`);
    await checkAccessible(page);
    await screenshot(page, `flags-${name}`, { fullPage: true });
  });
}

pageTest("questions are reached and chosen by keyboard", async ({ page, open }) => {
  await open("#v=1&num-prompts=50");
  await page.getByTestId("ask-load").focus();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByTestId("answer-flags").waitFor();
  assert.equal(await page.getByTestId("ask-flags").getAttribute("aria-current"), "page");
  assert.equal(await page.locator(".skip-link").getAttribute("href"), "#flags-title");
});

pageTest("answers are kept in this browser, open again by their links, and can be forgotten", async ({ page, open }) => {
  await open("#v=1&num-prompts=50&goodput=ttft:500&ask=load&ask-seeds=1");
  const kept = page.getByTestId("answer-load").getByTestId("recent");
  await kept.locator("a").first().waitFor({ state: "attached" });
  await page.getByTestId("load-status").filter({ hasText: /^\d+ loads, / }).waitFor();
  const sentence = (await page.getByTestId("load-headline").innerText()).replace(/^[✓✗]\s*/, "");
  await field(page, "max-num-seqs").fill("4");
  await kept.locator("li").nth(1).waitFor({ state: "attached" });
  await page.reload();
  await kept.locator("summary").click();
  await kept.getByRole("link", { name: sentence }).click();
  await page.getByTestId("load-headline").filter({ hasText: sentence }).waitFor();
  assert.equal(await field(page, "max-num-seqs").inputValue(), "", "as it was asked then");
  await kept.getByTestId("recent-forget").click();
  await kept.waitFor({ state: "detached" });
});
