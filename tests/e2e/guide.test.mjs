// The guide beside the page (profiler/guide): each of its chapters is accessible, and no wider than a phone.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { checkAccessible, PHONE, screenshot, site, WWW } from "./browser.mjs";

const { pageTest } = site();
const OTHERS = ["404.html", "toc.html"]; // mdBook's own
const chapters = readdirSync(`${WWW}guide`).filter((name) => name.endsWith(".html") && !OTHERS.includes(name));

async function read(page, server, chapter) {
  const response = await page.goto(`${server.at("127.0.0.1")}guide/${chapter}`);
  assert.equal(response.status(), 200, chapter);
  await page.locator("main h1").first().waitFor();
}

for (const colorScheme of ["light", "dark"]) {
  pageTest(`every chapter is accessible, ${colorScheme}`, { colorScheme }, async ({ page, server }) => {
    assert.ok(chapters.length > 10, "the guide is built");
    for (const chapter of chapters) {
      await read(page, server, chapter);
      await screenshot(page, `guide-${chapter.replace(".html", "")}-${colorScheme}`, { fullPage: true });
      // What stands around a chapter is mdBook's.
      await checkAccessible(page, ["moderate", "serious", "critical"], "main");
    }
  });
}

pageTest("no chapter is wider than a phone", { viewport: PHONE }, async ({ page, server }) => {
  for (const chapter of chapters) {
    await read(page, server, chapter);
    await screenshot(page, `guide-${chapter.replace(".html", "")}-phone`, { fullPage: true });
    const [inner, outer] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
    assert.ok(inner <= outer, `${chapter} is ${inner} wide`);
  }
});
