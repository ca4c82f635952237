// Chromium for the tests of the built page. One browser and one server for each file of tests; for each test a context
// of its own, as a new user has it.
//
//   import { site, checkAccessible, screenshot } from "./browser.mjs";
//   const { pageTest } = site();                          // or site({ prefix: "/some/path/" })
//
//   pageTest("a sentence that says what holds", async ({ page, open }) => {
//     await open("#v=1&request-rate=8");                  // waits until the page is mounted
//     await page.getByRole("button", { name: "Share" }).click();
//   });
//   pageTest("on a phone, dark", { viewport: PHONE, colorScheme: "dark" }, async ({ open }) => { … });
//
// A test is given
//   page, context      Playwright's, the options of the test being those of browser.newContext
//   openWhatIf(how)    goes to the page, and asks what happens with its example
//   open(rest, how)    goes to the page; rest: query and fragment; how.ready = false: does not wait for the mount,
//                      how.host: another name of this machine, how.page: another page, of newPage() or of a fresh context
//   newContext(how)    another user, watched like the first
//   server             see server.mjs
//   allow(pattern)     for tests of faults: problems that match are expected, and one of them must come
// and fails if there was an error or a warning on the console, an uncaught error, a violation of the page's policy, or a
// request to another origin, in any page, worker or service worker of any of its contexts.
//
// Files: locator.drop({ files: { name, mimeType, buffer } }) is a real drop. Functions, not strings, go to evaluate and
// waitForFunction: the page's policy forbids eval. screenshot(page, "name") writes target/screenshots/name.png.
// CHROMIUM names the browser, and what an attempt may take at most is TIMEOUT_MS. A test that waited in vain is tried once
// more; that it was is told at the end of `make test`.
import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";
import { serve } from "./server.mjs";

export const WWW = fileURLToPath(new URL("../../www/", import.meta.url));
export const PHONE = { width: 390, height: 844 };
export const LAPTOP = { width: 1024, height: 768 };
export const DESKTOP = { width: 1600, height: 1000 };
export const TIMEOUT_MS = 90_000;
const LATE = fileURLToPath(new URL("../../target/late.txt", import.meta.url));
export const SHOTS = fileURLToPath(new URL("../../target/screenshots/", import.meta.url));
export const ARGUMENTS = [
  "--no-sandbox", // Containers' users are root.
  "--disable-gpu",
  "--disable-dev-shm-usage",
  "--disable-quic",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
];

export function site({ folder = WWW, prefix = "/" } = {}) {
  let browser;
  let server;
  before(async () => {
    server = await serve(folder, { prefix });
    browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGUMENTS });
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  function pageTest(name, ...rest) {
    const [options, body] = rest.length > 1 ? rest : [{}, rest[0]];
    test(name, { timeout: 2 * TIMEOUT_MS }, async () => {
      try {
        await once(options, body);
      } catch (error) {
        if (!isLate(error)) throw error;
        // Machines of others stand still for seconds. What is late twice is late; what was late once is told.
        tellLate(name, error);
        await once(options, body);
      }
    });
  }

  async function once(options, body) {
    const problems = [];
    const allowed = [];
    const contexts = [];
    const newContext = async (how = {}) => {
      const context = await browser.newContext({ viewport: DESKTOP, ...options, ...how });
      context.setDefaultTimeout(20_000);
      contexts.push(context);
      await watch(context, problems);
      return context;
    };
    try {
      const context = await newContext();
      const page = await context.newPage();
      const open = async (rest = "", { ready = true, host = "127.0.0.1", page: other = page } = {}) => {
        const response = await other.goto(server.at(host) + rest);
        if (ready) await other.locator("html[data-ready]").waitFor({ state: "attached" });
        return response;
      };
      // The example's run, which a visit begins with that was asked something else before.
      const openWhatIf = async (how) => {
        await open("", how);
        await (how?.page ?? page).getByTestId("ask-what-if").click();
      };
      await body({ page, context, open, openWhatIf, newContext, server, allow: (pattern) => allowed.push(pattern) });
    } catch (error) {
      // What is seen once is seen on a machine that nobody looks at: the page's own words go with it.
      error.message += await lastWords(contexts);
      throw error;
    } finally {
      server.restore();
      await Promise.all(contexts.map((context) => context.close()));
    }
    assert.deepEqual(problems.filter((problem) => !allowed.some((pattern) => pattern.test(problem))), []);
    for (const pattern of allowed) assert.ok(problems.some((problem) => pattern.test(problem)), `${pattern} was expected`);
  }

  return { pageTest };
}

/** Whether something was waited for that did not come; a claim that is wrong is no such thing. */
const isLate = (error) => error.name === "TimeoutError";

/** For whoever reads the end of `make test`. */
function tellLate(name, error) {
  console.error(`once more: ${name}: ${error.message}`);
  mkdirSync(dirname(LATE), { recursive: true });
  appendFileSync(LATE, `  ${name}: ${error.message.split("\n")[0]}\n`);
}

/** Requests of a context that are under way. */
const PENDING = new WeakMap();

/** Address, states and open requests of every page, for a failure's message. */
async function lastWords(contexts) {
  let words = "";
  for (const context of contexts) {
    for (const page of context.pages()) {
      const states = page.locator("[role=status], [role=alert], [data-testid$=-status]").allInnerTexts();
      const late = new Promise((resolve) => setTimeout(resolve, 5_000, ["(it does not answer)"]));
      const told = await Promise.race([states, late]).catch(({ message }) => [message]);
      const said = told.map((text) => text.trim().replaceAll("\n", " ")).filter(Boolean);
      words += `\nThe page ${page.url()} said: ${said.join(" | ")}`;
    }
    for (const request of PENDING.get(context)) words += `\nunder way: ${request.url()} (${request.resourceType()})`;
  }
  return words;
}

async function watch(context, problems) {
  // Not subject to the page's policy, and there before its first script.
  await context.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      console.error(`policy violated: ${event.violatedDirective} by ${event.blockedURI} at ${event.sourceFile}:${event.lineNumber}`);
    });
  });
  context.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") problems.push(`console: ${message.text()}`);
  });
  context.on("weberror", (error) => problems.push(`uncaught: ${error.error()?.stack ?? error.error()}`));
  const pending = new Set();
  PENDING.set(context, pending);
  context.on("requestfinished", (request) => pending.delete(request));
  context.on("requestfailed", (request) => pending.delete(request));
  context.on("request", (request) => {
    pending.add(request);
    const url = new URL(request.url());
    const isOwn = url.hostname === "127.0.0.1" || url.hostname.endsWith(".localhost");
    if (!isOwn && url.protocol !== "data:" && url.protocol !== "blob:") problems.push(`request to another origin: ${url}`);
  });
}

/** axe-core finds nothing of the given weight in the page as it now stands, or in a part of it. */
export async function checkAccessible(page, impacts = ["moderate", "serious", "critical"], part = "html") {
  const source = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
  // By the debugger: Playwright's own way is eval, which the page's policy forbids.
  const session = await page.context().newCDPSession(page);
  await session.send("Runtime.evaluate", { expression: source });
  await session.detach();
  const { violations } = await page.evaluate((part) => globalThis.axe.run(part, { resultTypes: ["violations"] }), part);
  const found = violations
    .filter(({ impact }) => impacts.includes(impact))
    .map(({ id, impact, help, nodes }) => `${impact} ${id}: ${help}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join(" | ")}`);
  assert.deepEqual(found, []);
}

export async function screenshot(page, name, options = {}) {
  await page.screenshot({ path: `${SHOTS}${name}.png`, animations: "disabled", ...options });
}
