// What holds of the page whatever the simulator in it does: it is there before the module, starts, and says so when it
// cannot; under a sub-path, and without a network.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { finished } from "./app.mjs";
import { DESKTOP, LAPTOP, PHONE, WWW, checkAccessible, screenshot, site } from "./browser.mjs";

// Under a path, as on GitHub Pages: an address that begins with "/" would be missed.
const { pageTest } = site({ prefix: "/somebody/simulator/" });

pageTest("the frame is painted before the module has arrived, and the page takes its place", async ({ page, open, server }) => {
  const release = server.hold("pkg/web_bg.wasm");
  await open("", { ready: false });
  await page.getByRole("heading", { name: "vLLM Simulator" }).waitFor();
  assert.equal(await page.getByRole("status").first().innerText(), "Starting the simulator…");
  assert.equal(await page.locator("html[data-ready]").count(), 0);
  release();
  await page.locator("html[data-ready]").waitFor({ state: "attached" });
  assert.equal(await page.locator("[data-skeleton]").count(), 0, "the skeleton is gone");
});

pageTest("a link's run is not called the example", async ({ page, open, server }) => {
  const release = server.hold("pkg/web_bg.wasm");
  await open("#v=1&request-rate=8", { ready: false });
  await page.getByText("Simulating the linked run…").waitFor();
  release();
  await page.locator("html[data-ready]").waitFor({ state: "attached" });
});

pageTest("a first visit fetches every file once, and none from elsewhere", async ({ page, open, server }) => {
  server.requests.length = 0;
  await open();
  const twice = server.requests.filter((file, index) => server.requests.indexOf(file) !== index);
  // Workers import the glue in contexts of their own: one that simulates, one that finds how far the answer may be off, and the
  // pool that tries loads, which is of as many as there are cores. The tab's icon is also the page's. There the browser's cache
  // answers, if it may.
  const shared = ["parts.js", "worker.js", "pkg/web.js", "pkg/__wasm_split.js", "favicon.svg"];
  assert.deepEqual(twice.filter((file) => !shared.includes(file)), []);
  const cores = await page.evaluate(() => navigator.hardwareConcurrency);
  assert.ok(server.count("pkg/web.js") <= 3 + cores, "once for the page, at most once more for each worker");
});

for (const [width, viewport] of Object.entries({ 390: PHONE, 1024: LAPTOP, 1600: DESKTOP })) {
  for (const colorScheme of ["light", "dark"]) {
    pageTest(`the skeleton is accessible and fits ${width} px, ${colorScheme}`, { viewport, colorScheme }, async ({ page, open, server }) => {
      const release = server.hold("pkg/web_bg.wasm");
      await open("#v=1&request-rate=8", { ready: false });
      await page.locator(".skeleton-results").waitFor();
      await screenshot(page, `skeleton-${width}-${colorScheme}`);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(overflow <= 0, `${overflow} px too wide`);
      await checkAccessible(page);
      release();
      await page.locator("html[data-ready]").waitFor({ state: "attached" });
    });
  }
}

pageTest("a chosen theme is there at the first paint, against the system's", { colorScheme: "light" }, async ({ page, open }) => {
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  await open();
  const light = await background();
  await page.evaluate(() => localStorage.setItem("vllm-simulator.theme", "dark"));
  await open();
  assert.notEqual(await background(), light);
});

pageTest("a missing module is said, with a report to copy", { permissions: ["clipboard-read", "clipboard-write"] }, async ({ page, open, server, allow }) => {
  allow(/404/);
  server.replace("pkg/web_bg.wasm", undefined);
  await open("", { ready: false });
  const failure = page.getByRole("alertdialog", { name: "The page could not start" });
  await failure.waitFor();
  await checkAccessible(page);
  await screenshot(page, "could-not-start");
  await failure.getByRole("button", { name: "Copy report" }).click();
  await failure.getByText("Copied.").waitFor();
  const report = await page.evaluate(() => navigator.clipboard.readText());
  for (const part of ["web_bg.wasm: 404", `Page: ${server.url}`, "Browser: Mozilla"]) assert.ok(report.includes(part), report);
  server.restore();
  await failure.getByRole("button", { name: "Reload" }).click();
  await page.locator("html[data-ready]").waitFor({ state: "attached" });
});

pageTest("a panic is shown outside the page, which is then out of reach", async ({ page, open }) => {
  await open();
  await page.evaluate(() => globalThis.showPanic("panicked at <b>web/src/x.rs</b>"));
  const failure = page.getByRole("alertdialog", { name: "The page stopped" });
  await failure.getByText("panicked at <b>web/src/x.rs</b>").waitFor();
  assert.ok(await page.locator("#app").evaluate((app) => app.inert));
  assert.equal(await page.evaluate(() => document.activeElement.textContent), "Reload");
});

// Chromium counts names under .localhost as secure, so that a service worker may be registered; the page does so only
// where it is not at home.
const AWAY = { host: "page.localhost" };
const isKept = () => navigator.serviceWorker.ready.then((registration) => registration.active?.state === "activated");

pageTest("on the user's own machine nothing is kept, for there the files change", async ({ page, open }) => {
  await open();
  assert.equal(await page.evaluate(() => navigator.serviceWorker.getRegistrations().then((all) => all.length)), 0);
});

pageTest("a new version waits until the user asks for it", async ({ page, context, open, server }) => {
  await open("", AWAY);
  await page.waitForFunction(isKept);
  server.replace("pkg/precache.js", readFileSync(`${WWW}pkg/precache.js`, "utf8").replace(/"version": "/, '"version": "new-'));
  const [waiting] = await Promise.all([
    page.evaluate(() =>
      new Promise((resolve) => {
        addEventListener("vllmsim:update", (event) => resolve(typeof event.detail.apply), { once: true });
        navigator.serviceWorker.ready.then((registration) => registration.update());
      })),
  ]);
  assert.equal(waiting, "function");
  const shell = () => caches.keys().then((names) => names.filter((name) => name.includes("shell")));
  assert.equal((await page.evaluate(shell)).length, 2, "both versions are kept");
  const other = await context.newPage();
  await open("", { ...AWAY, page: other });
  assert.equal((await other.evaluate(shell)).length, 2, "a second page does not switch the first");
  // The second page finds the version waiting, and asks for it.
  const reloaded = other.waitForEvent("load");
  await other.evaluate(() => navigator.serviceWorker.ready.then((registration) => {
    navigator.serviceWorker.addEventListener("controllerchange", () => location.reload(), { once: true });
    registration.waiting.postMessage("activate");
  }));
  await reloaded;
  await other.locator("html[data-ready]").waitFor({ state: "attached" });
  // The page is served by it before it has cleared what the one before kept.
  await other.waitForFunction(isKept);
  const names = await other.evaluate(shell);
  assert.equal(names.length, 1);
  assert.match(names[0], / new-/);
});

pageTest("a newer index.html comes with its own files, not with the kept ones", async ({ page, open, server }) => {
  await open("", AWAY);
  await page.waitForFunction(isKept);
  const index = readFileSync(`${WWW}index.html`, "utf8");
  const boot = readFileSync(`${WWW}boot.js`, "utf8");
  const worker = readFileSync(`${WWW}worker.js`, "utf8");
  server.replace("index.html", index.replace("<title>", "<title>Newer "));
  server.replace("boot.js", `${boot}\ndocument.documentElement.dataset.boot = "newer";\n`);
  server.replace("worker.js", `${worker}\n`);
  const before = Object.fromEntries(["worker.js", "pkg/web.js", "pkg/web_bg.wasm"].map((file) => [file, server.count(file)]));
  await page.reload();
  await page.locator("html[data-boot=newer][data-ready]").waitFor({ state: "attached" });
  assert.match(await page.title(), /^Newer/);
  for (const [file, count] of Object.entries(before)) assert.ok(server.count(file) > count, `${file} came from the kept version`);
  assert.ok(server.count("pkg/web.js") >= before["pkg/web.js"] + 2, "the worker imported the kept version");
});

/** The address that a page makes of its link. */
const COMPLETED = /#v=1&sim=[^&]+&.*request-rate=8(&|$)/;

pageTest("after one visit the page opens without a network, fragment and all", async ({ page, open, server }) => {
  await open("", AWAY);
  await page.waitForFunction(isKept);
  server.unplug();
  await page.goto(`${server.at("page.localhost")}#v=1&request-rate=8`);
  // The page that is there takes the link first: what is under way when a page goes is another question, and what it asks
  // for then breaks off.
  await page.waitForURL(COMPLETED);
  await page.reload();
  await page.locator("html[data-ready]").waitFor({ state: "attached" });
  // The run of the link, too, and its address, which is completed and not lost.
  await finished(page);
  await page.waitForURL(COMPLETED);
});
