// What links and files from anybody cannot do to the page.
import assert from "node:assert/strict";
import { deflateRawSync } from "node:zlib";
import { site } from "./browser.mjs";
import { PROFILE, answered, digestOf, drop, edit, finished, formOf, ownProfile, told } from "./app.mjs";

const { pageTest } = site();

const bomb = deflateRawSync(Buffer.alloc(40 << 20)).toString("base64url");
// A fragment, and what is said of it. The first ones are opened, all are put into the address bar of an open page.
const NUM_OPENED = 3;
const HOSTILE = [
  ["#request-rate=8", "it does not begin with v="],
  ["#v=2&request-rate=8", "newer version (format 2, this one knows 1)"],
  [`#v=1&profile=mine&profile-z=${bomb}`, "profile-z: cut off, damaged, or more than 1048576 bytes"],
  ["#v=1&frobnicate=3", "frobnicate"],
  ["#v=1&profile=../x", "profile: it must be a name"],
  ["#v=1&max-num-seqs=%3Cscript%3Ealert(1)%3C/script%3E", "max-num-seqs", "<script>alert(1)</script>"],
  ["#v=0", "it does not begin with v="],
  ["#v=1&request-rate=8&request-rate=9", "request-rate comes twice"],
  ["#v=1&request-rate=%zz", "request-rate: broken percent-encoding"],
  ["#v=1&profile=%2Fetc%2Fpasswd", "profile: it must be a name"],
  ["#v=1&profile=mine&profile-z=AAAA", "profile-z: cut off, damaged"],
  [`#v=1&served-model-name=${"x".repeat(70_000)}`, "the limit is 65536"],
  [`#v=1&profile=mine&profile-z=${deflateRawSync(ownProfile(1, (profile) => { profile.step_time.non_attention.time_us[3] = -5; })).toString("base64url")}`, "mine", "time_us[3]: -5"],
];

pageTest("a link that cannot be read is refused with what is wrong, and the example is shown in a page that lives", async ({ context, open }) => {
  for (const [fragment, ...parts] of HOSTILE.slice(0, NUM_OPENED)) {
    const page = await context.newPage();
    await open(fragment, { page });
    const notice = await told(page, ...parts);
    assert.equal(await notice.getAttribute("role"), "alert", fragment.slice(0, 80));
    await answered(page);
    await page.getByTestId("example-line").waitFor();
    await page.getByTestId("ask-what-if").click();
    await edit(page, "num-prompts", "40");
    await page.getByTestId("example-line").waitFor({ state: "detached" });
    await finished(page);
    await page.close();
  }
});

pageTest("a link that cannot be read changes nothing of an open page", async ({ page, open }) => {
  await open("#v=1&request-rate=4&num-prompts=50&max-num-seqs=8");
  const before = await digestOf(page);
  const form = await formOf(page);
  for (const [fragment, ...parts] of HOSTILE.filter(([fragment]) => fragment.startsWith("#v="))) {
    await page.evaluate((fragment) => { location.hash = fragment; }, fragment);
    const notice = await told(page, ...parts, "What was there before stays");
    await notice.getByTestId("notice-dismiss").click();
  }
  assert.equal(await page.locator("#app script, #app img").count(), 0);
  assert.deepEqual(await formOf(page), form);
  assert.equal(await digestOf(page), before);
});

pageTest("a link to a profile that the site has not is told, and the example is shown", async ({ page, open, allow }) => {
  allow(/404/);
  await open("#v=1&profile=nobody-has-this");
  await told(page, "Profile nobody-has-this: profiles/nobody-has-this.json cannot be loaded: status 404");
  await answered(page);
  await page.getByTestId("example-line").waitFor();
});

pageTest("names in an own profile are text", async ({ page, open }) => {
  const name = '<img src=x onerror="document.title=1">';
  await open("#v=1&request-rate=4&num-prompts=60");
  const before = await digestOf(page);
  const profile = ownProfile(2, (profile) => {
    profile.model.name = name;
    profile.hardware.name = name;
    profile.provenance.notes = [name];
    profile.provenance.sources = [{ ...PROFILE.provenance.sources[0], name, url: "javascript:alert(1)" }];
  });
  await drop(page, ["<b>mine.json", profile]);
  await told(page, "<b>mine.json as a profile", name);
  await digestOf(page, before);
  await finished(page);
  assert.equal(await page.locator("#app img, #app b:text-is('mine.json')").count(), 0);
  assert.equal(await page.locator('a[href^="javascript:"]').count(), 0);
  assert.ok((await page.getByTestId("provenance").innerText()).includes(name));
});
