// The answer of a first visit, as part of www/index.html: such a visit asks for nothing, so its answer is known, and it can be
// read long before the simulator has arrived. The page itself is asked for it, and what it shows is made to stand still.
//
//   node scripts/prerender.mjs       writes it into www/index.html; the page must be built (make web)
//
// tests/e2e/first-answer.test.mjs fails when it is no longer what the page shows.
// Needs Chromium (CHROMIUM names it) and what scripts/test-e2e.sh installs.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { serve } from "../tests/e2e/server.mjs";

const WWW = fileURLToPath(new URL("../www/", import.meta.url));
const BEGIN = "<!-- The first answer: written by scripts/prerender.mjs, which takes it from the page. -->\n";
const END = "<!-- The end of the first answer. -->";

/** Widths of a window for which the plot is drawn; www/style/plot.css says which plot stands in for other widths. */
export const WIDTHS = [390, 1024, 1280, 1600];

/** What stands in index.html. */
export function written(index) {
  const begin = index.indexOf(BEGIN) + BEGIN.length;
  const end = index.indexOf(END);
  if (begin < BEGIN.length || end < begin) throw new Error("index.html has no place for the first answer");
  return { before: index.slice(0, begin), answer: index.slice(begin, end), after: index.slice(end) };
}

/** What ought to stand there: what the page at `url` shows. */
export async function prerender(browser, url) {
  const plots = [];
  let answer;
  for (const width of WIDTHS) {
    const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: "light" });
    try {
      const page = await context.newPage();
      await page.goto(url);
      await page.locator("html[data-ready]").waitFor({ state: "attached" });
      await page.getByTestId("load-status").filter({ hasText: /^\d+ loads, / }).waitFor();
      const plot = () => page.getByTestId("load-latency").locator(".plot-svg").innerHTML();
      const light = await plot();
      await page.emulateMedia({ colorScheme: "dark" });
      await page.waitForFunction((light) => document.querySelector("[data-testid=load-latency] .plot-svg").innerHTML !== light, light);
      plots.push(inBothThemes(light, await plot()));
      answer ??= await page.getByTestId("answer-load").evaluate(standStill);
    } finally {
      await context.close();
    }
  }
  const [head, tail] = answer.split("PLOT");
  return `${head}\n${plots.join("\n")}\n${tail}\n`;
}

/** A plot whose colours are the style sheets' own, so that it is right in either theme. */
export function inBothThemes(light, dark) {
  const [lightColours, darkColours] = [light, dark].map((plot) => plot.match(COLOUR) ?? []);
  if (light.replace(COLOUR, "") !== dark.replace(COLOUR, "")) throw new Error("the themes' plots differ in more than colours");
  let place = 0;
  const coloured = light.replace(COLOUR, () => {
    const pair = `${lightColours[place]} ${darkColours[place]}`.toLowerCase();
    place += 1;
    const token = TOKENS.get(pair);
    if (token === undefined) throw new Error(`no token of www/style is ${pair} in light and dark`);
    return `var(${token})`;
  });
  return coloured.replace("<svg ", '<svg preserveAspectRatio="none" ').replace(/>\s+/g, ">").replace(/\s+</g, "<").trim();
}

const COLOUR = /#[0-9A-Fa-f]{6}\b/g;

/** Tokens by the colours that they are in light and dark. */
const TOKENS = new Map(
  ["plot.css", "base.css"].flatMap((file) => {
    const css = readFileSync(`${WWW}style/${file}`, "utf8");
    const block = (selector) => {
      const start = css.indexOf(`${selector} {`);
      return new Map([...css.slice(start, css.indexOf("}", start)).matchAll(/(--[a-z0-9-]+):\s*(#[0-9a-f]{6});/g)].map(([, name, value]) => [name, value]));
    };
    const [light, dark] = [block(":root"), block(':root[data-theme="dark"]')];
    // The first of several that look alike.
    return [...light].filter(([name]) => dark.has(name)).map(([name, value]) => [`${value} ${dark.get(name)}`, name]).reverse();
  }),
);

/** Runs in the page: the answer down to the curve of a latency, as text that answers to nothing. PLOT stands for the plot. */
function standStill(results) {
  const still = results.cloneNode(true);
  const all = (selector) => [...still.querySelectorAll(selector)];
  for (const last of all("[data-testid=load-curve], [data-testid=load-latency]")) while (last.nextElementSibling) last.nextElementSibling.remove();
  while (!still.lastElementChild.querySelector("[data-testid=load-body]") && still.lastElementChild.dataset.testid !== "load-body") still.lastElementChild.remove();
  // How long it took is another time each time.
  const status = still.querySelector("[data-testid=load-status]");
  status.textContent = status.textContent.replace(/, in .*/, ".");
  for (const element of all(".term-about, .plot-pointer, .results-status, [aria-live].visually-hidden, details > :not(summary)")) element.remove();
  for (const term of all(".term-label")) {
    const label = document.createElement("span");
    label.className = "term-label";
    label.textContent = term.textContent;
    term.replaceWith(label);
  }
  for (const input of all("input")) input.toggleAttribute("checked", input.checked);
  for (const element of [still, ...all("[aria-labelledby]")]) {
    const label = document.getElementById(element.getAttribute("aria-labelledby"));
    if (label && element.getAttribute("role") !== "tabpanel") element.setAttribute("aria-label", label.textContent);
  }
  for (const element of all("button, label, details, .tabs, .toolbar")) {
    if (!element.parentElement.closest("[inert]")) element.toggleAttribute("inert", true);
  }
  for (const element of all("[role=tabpanel]")) element.removeAttribute("role");
  for (const element of [still, ...all("*")]) {
    for (const name of ["id", "tabindex", "aria-live", "aria-labelledby", "aria-controls", "aria-describedby", "aria-keyshortcuts"]) {
      element.removeAttribute(name);
    }
    // Tests find what they ask of the page itself by another name.
    if (element.dataset.testid) element.dataset.first = element.dataset.testid;
    delete element.dataset.testid;
  }
  const plot = still.querySelector(".plot-svg");
  plot.classList.add("first-plot");
  plot.textContent = "PLOT";
  still.classList.add("first-answer");
  return still.outerHTML.replace(/<!--.*?-->/g, "");
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { chromium } = createRequire(new URL("../tests/e2e/package.json", import.meta.url))("playwright-core");
  const server = await serve(WWW);
  const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
  try {
    const { before, after } = written(readFileSync(`${WWW}index.html`, "utf8"));
    writeFileSync(`${WWW}index.html`, before + (await prerender(browser, server.url)) + after);
    // The offline copy's version is made of what it holds.
    execFileSync(process.execPath, [fileURLToPath(new URL("first-load.mjs", import.meta.url)), "write"]);
  } finally {
    await browser.close();
    await server.close();
  }
}
