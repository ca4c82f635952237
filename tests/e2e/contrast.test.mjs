// The tokens of the design: readable in both themes, and the two blocks of dark ones alike. Needs no browser.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";

const css = readFileSync(new URL("../../www/style/base.css", import.meta.url), "utf8");

function tokens(selector) {
  const start = css.indexOf(`${selector} {`);
  assert.ok(start >= 0, `base.css has no ${selector}`);
  const block = css.slice(start, css.indexOf("}", start));
  return Object.fromEntries([...block.matchAll(/--([a-z0-9-]+):\s*([^;]+);/g)].map(([, name, value]) => [name, value]));
}
const light = tokens(":root");
const dark = tokens(':root[data-theme="dark"]');

/** WCAG 2's relative luminance. */
function luminance(colour) {
  assert.match(colour, /^#[0-9a-f]{6}$/, "a plain colour");
  const [red, green, blue] = [1, 3, 5]
    .map((at) => parseInt(colour.slice(at, at + 2), 16) / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}
function contrast(a, b) {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

const TEXT = 4.5;
const CONTROL = 3;
const PAIRS = [
  ...["text", "text-muted"].flatMap((text) => ["bg", "surface", "surface-2"].map((ground) => [text, ground, TEXT])),
  ...["text", "text-muted"].flatMap((text) => ["accent-soft", "good-soft", "warn-soft", "bad-soft"].map((ground) => [text, ground, TEXT])),
  ...["accent", "good", "warn", "bad"].flatMap((hue) => ["surface", "surface-2", "bg"].map((ground) => [hue, ground, TEXT])),
  ...["accent", "good", "warn", "bad"].map((hue) => [hue, `${hue}-soft`, TEXT]),
  ["accent-text", "accent", TEXT],
  ["accent-text", "accent-hover", TEXT],
  ...[1, 2, 3, 4, 5, 6].map((series) => [`series-${series}`, "surface", TEXT]),
  ["border-control", "surface", CONTROL],
  ["border-control", "bg", CONTROL],
  ["focus", "surface", CONTROL],
  ["focus", "bg", CONTROL],
];

for (const [theme, colours] of [["light", light], ["dark", dark]]) {
  test(`every pair of colours can be told apart, ${theme}`, () => {
    const faint = PAIRS.map(([a, b, least]) => [a, b, least, contrast(colours[a], colours[b])])
      .filter(([, , least, found]) => found < least)
      .map(([a, b, least, found]) => `--${a} on --${b}: ${found.toFixed(2)}, at least ${least}`);
    assert.deepEqual(faint, []);
  });
}

test("the system's dark is the dark that one can choose, and it is complete", () => {
  assert.deepEqual(tokens(':root:not([data-theme="light"])'), dark);
  const coloured = Object.keys(light).filter((name) => /^(#|rgb)/.test(light[name]) || name.startsWith("shadow"));
  assert.deepEqual(Object.keys(dark).sort(), coloured.sort());
});
