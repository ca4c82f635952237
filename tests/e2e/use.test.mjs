// How the page is used: by keys alone, in either theme, on a phone, with help for those who cannot see it.
import assert from "node:assert/strict";
import { PHONE, checkAccessible, site } from "./browser.mjs";
import { digestOf, drop, edit, field, fileOf, finished, told, unfold } from "./app.mjs";

const { pageTest } = site();
const RUN = "#v=1&request-rate=8&num-prompts=60&goodput=ttft:500";

/** Test name of what has the focus. */
const focused = (page) => page.evaluate(() => document.activeElement.dataset.testid ?? document.activeElement.id);

/** Presses Tab until this has the focus. */
async function tabTo(page, testid) {
  for (let presses = 0; presses < 120; presses += 1) {
    if ((await focused(page)) === testid) return presses;
    await page.keyboard.press("Tab");
  }
  throw new Error(`Tab does not come to ${testid}`);
}

pageTest("the keyboard alone edits, runs, compares and looks around", async ({ page, open }) => {
  await open(RUN);
  const before = await digestOf(page);
  await page.keyboard.press("Tab");
  assert.match(await page.evaluate(() => document.activeElement.textContent), /Skip to the results/);
  await tabTo(page, "field-max-num-seqs");
  await page.keyboard.type("3");
  await page.keyboard.press("Control+Enter");
  const after = await digestOf(page, before);
  assert.equal(await focused(page), "field-max-num-seqs", "the focus stays in the field");
  // Keys of the page are letters in a field.
  const tab = (key) => page.getByTestId(`metric-tab-${key}`).getAttribute("aria-selected");
  await tabTo(page, "run");
  for (const [key, name] of [["2", "tpot"], ["3", "itl"], ["4", "e2el"], ["1", "ttft"]]) {
    await page.keyboard.press(key);
    assert.equal(await tab(name), "true", key);
  }
  await page.keyboard.press("l");
  assert.equal(await page.getByTestId("log-x").getAttribute("aria-pressed"), "true");
  await page.keyboard.press("l");
  assert.equal(await page.getByTestId("log-x").getAttribute("aria-pressed"), "false");
  await page.keyboard.press("c");
  await page.getByTestId("compare-same").waitFor();
  await page.keyboard.press("Enter");
  assert.equal(await digestOf(page), after);
  await tabTo(page, "metric-tab-ttft");
  await page.keyboard.press("ArrowRight");
  assert.equal(await focused(page), "metric-tab-tpot");
  assert.equal(await tab("tpot"), "true");
  await field(page, "num-prompts").focus();
  await page.keyboard.press("End");
  await page.keyboard.type("1");
  assert.equal(await tab("tpot"), "true", "keys of the page do nothing while a field is typed in");
  assert.equal(await field(page, "num-prompts").inputValue(), "601");
  await digestOf(page, after);
});

pageTest("a plot offers to be seen whole while it is not, and only then", async ({ page, open }) => {
  await open(RUN);
  await finished(page);
  const card = page.getByTestId("distribution");
  const reset = card.locator(".plot-reset");
  const drag = async () => {
    await card.locator(".plot-canvas").scrollIntoViewIfNeeded();
    const { x, y, width, height } = await card.locator(".plot-canvas").boundingBox();
    await page.mouse.move(x + width * 0.3, y + height / 2);
    await page.mouse.down();
    await page.mouse.move(x + width * 0.6, y + height / 2, { steps: 3 });
    await page.mouse.up();
    await reset.waitFor();
  };
  assert.equal(await reset.count(), 0);
  for (const act of [() => reset.click(), () => page.getByTestId("metric-tab-itl").click(), () => page.getByTestId("log-x").click()]) {
    await drag();
    await act();
    await reset.waitFor({ state: "detached" });
  }
});

pageTest("every control has a mark of the focus", async ({ page, open }) => {
  await open(RUN);
  await finished(page);
  await page.evaluate(() => document.activeElement.blur());
  const bare = [];
  for (let presses = 0; presses < 60; presses += 1) {
    await page.keyboard.press("Tab");
    const found = await page.evaluate(() => {
      // A file input is inside the button that is seen.
      const control = document.activeElement.closest("label.btn") ?? document.activeElement;
      const style = getComputedStyle(control);
      const isMarked = (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
      return isMarked ? null : control.outerHTML.slice(0, 120);
    });
    if (found) bare.push(found);
  }
  assert.deepEqual(bare, []);
});

for (const [button, dialog] of [["share", "share-dialog"], ["help", "help-dialog"]]) {
  pageTest(`the dialog of "${button}" keeps the focus inside and gives it back`, async ({ page, open }) => {
    await open(RUN);
    await finished(page);
    for (const close of ["Escape", "button"]) {
      await page.getByTestId(button).focus();
      await page.keyboard.press("Enter");
      const shown = page.getByRole("dialog");
      await shown.waitFor();
      for (let presses = 0; presses < 15; presses += 1) {
        await page.keyboard.press("Tab");
        assert.ok(await shown.evaluate((dialog) => dialog.contains(document.activeElement) || document.activeElement === document.body));
      }
      await checkAccessible(page);
      if (close === "Escape") await page.keyboard.press("Escape");
      else await page.getByTestId(`${dialog}-close`).click();
      await shown.waitFor({ state: "hidden" });
      assert.equal(await focused(page), button);
    }
    assert.equal(await page.getByTestId("run-status").innerText().then((text) => /Simulated/.test(text)), true, "Escape ended the dialog, not the run");
  });
}

pageTest("the theme is switched for page and plots alike", { colorScheme: "light" }, async ({ page, open }) => {
  await open(RUN);
  await finished(page);
  const look = () => page.evaluate(() => {
    const plot = document.querySelector("[data-testid=distribution] .plot-svg");
    return [getComputedStyle(document.body).backgroundColor, plot.innerHTML.match(/#[0-9A-F]{6}/gi).sort().join()];
  });
  const light = await look();
  const toggle = page.getByTestId("theme-toggle");
  await toggle.click();
  assert.deepEqual(await look(), light, "light as the system");
  await toggle.click();
  assert.match(await toggle.getAttribute("aria-label"), /^Theme: dark/);
  const dark = await look();
  assert.notEqual(dark[0], light[0]);
  assert.notEqual(dark[1], light[1]);
  await page.reload();
  await finished(page);
  assert.deepEqual(await look(), dark, "it is kept");
  await toggle.click();
  assert.deepEqual(await look(), light, "the system's again");
  await page.emulateMedia({ colorScheme: "dark" });
  // The page's colours change by themselves, the plot's when the page has been told.
  await page.waitForFunction((light) => {
    const plot = document.querySelector("[data-testid=distribution] .plot-svg");
    return plot.innerHTML.match(/#[0-9A-F]{6}/gi).sort().join() !== light;
  }, light[1]);
  assert.deepEqual(await look(), dark, "the system changes");
});

for (const [name, options] of [
  ["first visit, light", { colorScheme: "light" }],
  ["first visit, dark", { colorScheme: "dark" }],
  ["phone, light", { viewport: PHONE, colorScheme: "light", hasTouch: true }],
  ["phone, dark", { viewport: PHONE, colorScheme: "dark", hasTouch: true }],
]) {
  pageTest(`nothing keeps anybody out, and nothing is too wide: ${name}`, options, async ({ page, openWhatIf }) => {
    await openWhatIf();
    await finished(page);
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    assert.ok(overflow <= 0, `${overflow} px too wide`);
    await checkAccessible(page);
    for (const card of ["passes", "requests", "report"]) await unfold(page, card);
    await page.getByTestId("request-table").locator("tbody tr").first().waitFor();
    await page.getByTestId("passes-range").waitFor();
    await checkAccessible(page);
  });
}

for (const colorScheme of ["light", "dark"]) {
  pageTest(`nothing keeps anybody out with a comparison, a measurement, faults and notices, ${colorScheme}`, { colorScheme }, async ({ page, open }) => {
    await open(RUN);
    const before = await digestOf(page);
    await page.getByTestId("pin").click();
    await edit(page, "max-num-seqs", "3");
    await digestOf(page, before);
    await drop(page, ["result.json", fileOf("tests/data/bench_serve_table/everything.detailed.json")]);
    await told(page, "Read result.json");
    await drop(page, ["hello.txt", "hello"]);
    await told(page, "hello.txt");
    await edit(page, "seed", "x");
    await edit(page, "max-num-batched-tokens", "2");
    await page.getByTestId("run-error").waitFor();
    await page.getByTestId("measured-table").waitFor();
    await page.getByTestId("compare-table").waitFor();
    await checkAccessible(page);
  });
}

pageTest("plots are read by keys and as tables", async ({ page, open }) => {
  await open(RUN);
  await finished(page);
  const plot = page.getByTestId("distribution").locator("[role=img]");
  assert.match(await plot.getAttribute("aria-label"), /^Cumulative distribution of TTFT\. this run: P50 [\d.]+ ms, P90 .*P99 .*Objective 500 ms\./);
  await plot.focus();
  await page.keyboard.press("ArrowRight");
  const spoken = page.getByTestId("distribution").locator("figure > [aria-live=polite]");
  const first = await spoken.textContent();
  assert.match(first, /\d/);
  for (let i = 0; i < 5; i += 1) await page.keyboard.press("ArrowRight");
  assert.notEqual(await spoken.textContent(), first);
  await page.getByTestId("distribution").getByText("Show as table").click();
  const rows = page.getByTestId("distribution").locator(".plot-table tbody tr");
  await rows.first().waitFor();
  assert.ok((await rows.count()) >= 5 && /P99/.test(await rows.allInnerTexts().then((texts) => texts.join())), "percentiles in words");
});
