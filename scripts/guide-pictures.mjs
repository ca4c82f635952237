// The guide's pictures of the page, in both themes: profiler/guide/src/pictures.
//
//   node scripts/guide-pictures.mjs      the page must be built (make web)
//
// Needs Chromium (CHROMIUM names it) and what scripts/test-e2e.sh installs.
import { mkdirSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { serve } from "../tests/e2e/server.mjs";

const WWW = fileURLToPath(new URL("../www/", import.meta.url));
const TO = fileURLToPath(new URL("../profiler/guide/src/pictures/", import.meta.url));
/** Links of the page; what says that its answer is there; the button, where the answer must be asked for; what is shown of it. */
const PICTURES = [
  { name: "what-if", link: "", ready: (page) => page.getByTestId("range-why").filter({ hasNotText: "Simulating both ends…" }).waitFor() },
  {
    name: "load",
    link: "#v=1&goodput=ttft:500,tpot:20&random-input-len=1024&random-output-len=128&num-prompts=200&ask=load",
    ready: (page) => page.getByTestId("load-status").filter({ hasText: /, in / }).waitFor(),
    of: (page) => page.locator("figure").filter({ hasText: "TPOT: Time per Output Token" }),
  },
  {
    name: "gpu",
    link: "#v=1&goodput=ttft:500,tpot:50&num-prompts=60&max-model-len=8192&ask=gpu",
    ask: "gpu-compare",
    ready: (page) => page.getByTestId("gpu-status").filter({ hasText: /^\d+ setups, in / }).waitFor(),
  },
];

/** Where a part of the page is, with some air. */
async function around(part) {
  const { x, y, width, height } = await part.evaluate((element) => {
    const { x, y, width, height } = element.getBoundingClientRect();
    return { x: x + scrollX, y: y + scrollY, width, height };
  });
  return { x: x - 12, y: y - 12, width: width + 24, height: height + 24 };
}

const { chromium } = createRequire(new URL("../tests/e2e/package.json", import.meta.url))("playwright-core");
const server = await serve(WWW);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox", "--disable-gpu"] });
try {
  mkdirSync(TO, { recursive: true });
  for (const { name, link, ask, ready, of } of PICTURES) {
    const context = await browser.newContext({ viewport: { width: 1200, height: 860 }, colorScheme: "light" });
    context.setDefaultTimeout(120_000);
    const page = await context.newPage();
    await page.addInitScript(() => localStorage.setItem("vllm-simulator.range", "on"));
    await page.goto(server.url + link);
    await page.locator("html[data-ready]").waitFor({ state: "attached" });
    if (ask) await page.getByTestId(ask).click();
    await ready(page);
    // It stays at the top of the window, in front of a part that is scrolled to.
    if (of) await page.locator("header").evaluate((header) => (header.style.display = "none"));
    for (const theme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme: theme, reducedMotion: "reduce" });
      await page.waitForTimeout(500); // Plots are drawn anew in the theme's colours.
      await page.screenshot({ path: `${TO}${name}-${theme}.png`, fullPage: Boolean(of), clip: of && (await around(of(page))) });
    }
    await context.close();
  }
} finally {
  await browser.close();
  await server.close();
}
