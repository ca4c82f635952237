// Firefox for the tests of the built page: what browser.mjs and app.mjs are for Chromium, as far as it goes. Playwright
// drives only a Firefox of its own making; Puppeteer drives the one that users have, by WebDriver BiDi.
//
//   import { site, digestOf, edit } from "./firefox.mjs";
//   const { pageTest } = site();                          // or site({ prefix: "/some/path/" })
//
//   pageTest("a sentence that says what holds", async ({ page, open }) => {
//     await open("#v=1&request-rate=8");                  // waits until the page is mounted
//     await edit(page, "max-num-seqs", "4");
//   });
//   pageTest("on a phone, dark", { viewport: PHONE, colorScheme: "dark" }, async ({ open }) => { … });
//
// A test is given
//   page               Puppeteer's
//   openWhatIf(how)    goes to the page, and asks what happens with its example
//   open(rest, how)    goes to the page; rest: query and fragment; how.page: another page, of newPage()
//   newPage()          another user's page, watched like the first
//   server             see server.mjs
//   allow(pattern)     for tests of faults: problems that match are expected, and one of them must come
// and fails if there was an error or a warning on the console, an uncaught error, a violation of the page's policy, or a
// request to another origin, in any of its pages or their workers. Service workers are not watched: BiDi tells of pages.
//
// - The page's policy forbids eval, which Puppeteer's waitForFunction and locators are made of: wait with until().
// - BiDi cannot drag files: drop() dispatches the events that a drop consists of. choose() and paste() are the real thing.
// - The colour scheme is a setting of the browser, so each scheme has its browser.
// - puppeteer-core stays at a version that Debian's Firefox 140 ESR understands: 24.30 and later fail in setViewport, and
//   25 needs Node.js 22.
//
// FIREFOX names the browser, and what a test may take at most is TIMEOUT_MS.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { tmpdir } from "node:os";
import { join } from "node:path";
import puppeteer from "puppeteer-core";
import { DESKTOP, SHOTS, TIMEOUT_MS, WWW } from "./browser.mjs";
import { serve } from "./server.mjs";

const WAIT_MS = 20_000;
const SCHEMES = { dark: 0, light: 1 };
const MODIFIER = process.platform === "darwin" ? "Meta" : "Control";
const NOWHERE = { host: "127.0.0.1", port: 9 };

function launch(colorScheme) {
  return puppeteer.launch({
    browser: "firefox",
    executablePath: process.env.FIREFOX ?? "/usr/bin/firefox-esr",
    headless: true,
    extraPrefsFirefox: {
      "layout.css.prefers-color-scheme.content-override": SCHEMES[colorScheme],
      // Firefox asks its maker's services when it starts. What is not this machine goes to a port where nobody listens;
      // a page that tries it is told of all the same.
      "network.proxy.type": 1,
      "network.proxy.http": NOWHERE.host,
      "network.proxy.http_port": NOWHERE.port,
      "network.proxy.ssl": NOWHERE.host,
      "network.proxy.ssl_port": NOWHERE.port,
    },
  });
}

export function site({ folder = WWW, prefix = "/" } = {}) {
  const browsers = new Map();
  let server;
  before(async () => {
    server = await serve(folder, { prefix });
  });
  after(async () => {
    await Promise.all([...browsers.values()].map(async (browser) => (await browser).close()));
    await server?.close();
  });
  const browserOf = (colorScheme) => {
    if (!browsers.has(colorScheme)) browsers.set(colorScheme, launch(colorScheme));
    return browsers.get(colorScheme);
  };

  function pageTest(name, ...rest) {
    const [{ viewport = DESKTOP, colorScheme = "light" }, body] = rest.length > 1 ? rest : [{}, rest[0]];
    test(`${name}, in Firefox`, { timeout: TIMEOUT_MS }, async () => {
      const problems = [];
      const allowed = [];
      const contexts = [];
      const newPage = async () => {
        const context = await (await browserOf(colorScheme)).createBrowserContext();
        contexts.push(context);
        const page = await context.newPage();
        watch(page, problems);
        await page.setViewport(viewport);
        return page;
      };
      try {
        const page = await newPage();
        const open = async (rest = "", { page: other = page } = {}) => {
          const response = await other.goto(server.url + rest);
          await until("the page is mounted", () => other.$("html[data-ready]"));
          return response;
        };
        const openWhatIf = async (how) => {
          await open("", how);
          await click(how?.page ?? page, "ask-what-if");
        };
        await body({ page, open, openWhatIf, newPage, server, allow: (pattern) => allowed.push(pattern) });
      } finally {
        server.restore();
        await Promise.all(contexts.map((context) => context.close()));
      }
      assert.deepEqual(problems.filter((problem) => !allowed.some((pattern) => pattern.test(problem))), []);
      for (const pattern of allowed) assert.ok(problems.some((problem) => pattern.test(problem)), `${pattern} was expected`);
    });
  }
  return { pageTest };
}

function watch(page, problems) {
  page.on("console", (message) => {
    if (/^(error|warn)/.test(message.type())) problems.push(`console: ${message.text()}`);
  });
  // Violations of the policy and requests that CORS forbids come as errors, too.
  page.on("pageerror", (error) => problems.push(`uncaught: ${error.stack ?? error}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    const isOwn = url.hostname === "127.0.0.1" || url.hostname.endsWith(".localhost");
    if (!isOwn && url.protocol !== "data:" && url.protocol !== "blob:") problems.push(`request to another origin: ${url}`);
  });
}

/** What `probe` answers as soon as that is something; `what` says what was waited for in vain. */
export async function until(what, probe) {
  const end = Date.now() + WAIT_MS;
  for (;;) {
    const answer = await probe();
    if (answer) return answer;
    if (Date.now() > end) throw new Error(`not within ${WAIT_MS} ms: ${what}`);
    await new Promise((next) => setTimeout(next, 50));
  }
}

const selector = (id) => `[data-testid="${id}"]`;

/** The element of a test name, as soon as it is seen. */
export function seen(page, id) {
  return until(`${id} is seen`, async () => {
    const element = await page.$(selector(id));
    return (await element?.evaluate((element) => element.checkVisibility())) && element;
  });
}

/** How many there are. */
export const count = async (page, id) => (await page.$$(selector(id))).length;

/** Its text, as soon as it is seen and, if a pattern is given, has such a text. */
export function text(page, id, pattern = /(?:)/) {
  let last;
  return until(`${id} says ${pattern}`, async () => {
    last = await (await seen(page, id)).evaluate((element) => element.innerText);
    return pattern.test(last) && { last };
  }).then(({ last }) => last, (error) => { throw new Error(`${error.message}; it says ${last}`); });
}

export const valueOf = async (page, id) => (await seen(page, id)).evaluate((field) => field.value);

export const click = async (page, id) => (await seen(page, id)).click();

/** Puts a text in the place of what is in a field, key by key. */
export async function fill(page, id, value) {
  await (await seen(page, id)).evaluate((field) => { field.focus(); field.select(); });
  await (value === "" ? page.keyboard.press("Backspace") : page.keyboard.type(value));
}

async function shortcut(page, key) {
  await page.keyboard.down(MODIFIER);
  await page.keyboard.press(key);
  await page.keyboard.up(MODIFIER);
}

/** Pastes a text where no field has the focus. By the clipboard: a ClipboardEvent that a script makes has no data here. */
export async function paste(page, text) {
  await page.evaluate((text) => {
    const field = document.createElement("textarea");
    field.dataset.testid = "to-copy";
    field.value = text;
    document.body.append(field);
    field.select();
  }, text);
  await shortcut(page, "c");
  await page.$eval(selector("to-copy"), (field) => field.remove());
  await shortcut(page, "v");
}

/** Drops files on the page: `files` are [name, content]. Fails where a browser would not let go of them. */
export async function drop(page, ...files) {
  const contents = files.map(([name, content]) => [name, Buffer.from(content).toString("base64")]);
  const isAccepted = await page.$eval("main", (main, contents) => {
    const dataTransfer = new DataTransfer();
    for (const [name, content] of contents) {
      dataTransfer.items.add(new File([Uint8Array.from(atob(content), (byte) => byte.charCodeAt(0))], name));
    }
    const dispatched = (name) => !main.dispatchEvent(new DragEvent(name, { dataTransfer, bubbles: true, cancelable: true }));
    dispatched("dragenter");
    const isAccepted = dispatched("dragover");
    if (isAccepted) dispatched("drop");
    return isAccepted;
  }, contents);
  assert.ok(isAccepted, "the page takes what is dragged over it");
}

/** Chooses files as behind the button "Open". */
export async function choose(page, ...files) {
  const folder = mkdtempSync(`${tmpdir()}/chosen-`);
  try {
    const paths = files.map(([name, content]) => {
      writeFileSync(join(folder, name), content);
      return join(folder, name);
    });
    await (await page.$(selector("open-file"))).uploadFile(...paths);
    // A file is read when it is needed, so what the page says of it must be there before it goes.
    for (const [name] of files) await told(page, name);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The text of the notice that says all of this. */
export function told(page, ...parts) {
  return until(`a notice says ${parts.join(" … ")}`, async () => {
    const notices = await page.$$eval(selector("notice"), (notices) => notices.map((notice) => notice.innerText));
    return notices.find((notice) => parts.every((part) => notice.includes(part)));
  });
}

/** Waits until what is shown is the run of what stands in the form. */
export async function finished(page) {
  await text(page, "run-status", /^Simulated in/);
  await until("the results are of the form", async () => (await count(page, "stale-line")) === 0);
}

/** The digest of the run that is shown; `after`: waits for another than this. */
export async function digestOf(page, after) {
  await finished(page);
  // Not by a click, which would move the focus.
  const report = await until("the report is there", () => page.$(selector("report")));
  await report.evaluate((card) => { card.open = true; });
  return text(page, "digest", after ? new RegExp(`^(?!${after})[0-9a-f]{16}$`) : /^[0-9a-f]{16}$/);
}

/** Types a value into the field of a flag. */
export async function edit(page, flag, value) {
  for (const folded of await page.$$(`details:not([open]):has(${selector(`field-${flag}`)}) > summary`)) await folded.click();
  await fill(page, `field-${flag}`, value);
}

/** The share link, as the dialog has it. */
export async function shareLink(page) {
  await click(page, "share");
  const link = await valueOf(page, "share-link");
  await page.keyboard.press("Escape");
  return link;
}

export async function screenshot(page, name) {
  mkdirSync(SHOTS, { recursive: true });
  await page.screenshot({ path: `${SHOTS}${name}.png` });
}
