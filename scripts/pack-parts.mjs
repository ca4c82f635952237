// The parts that wasm-split-cli made of the page's module become files that hosts and browsers know how to treat.
//
//   node scripts/pack-parts.mjs SPLIT OUT      SPLIT: what wasm-split-cli wrote, its pieces optimised; OUT: www/pkg
//
// Writes OUT/NAME.wasm for each part, and OUT/__wasm_split.js, through which the module asks for them. www/parts.js says
// how a file is made up. A part has every piece that it needs, but for those of the part that is always there before it.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";

const [split, out] = process.argv.slice(2);

/** Parts that another comes before, whose pieces they do without. */
const NEEDS = {
  profiles: "form", models: "form", simulator: "profiles", reader: "profiles", texts: "profiles",
  questions: "profiles", setups: "profiles", results: "profiles", more: "profiles",
  files: "simulator", fleets: "simulator", dialogs: "more",
};

const link = readFileSync(`${split}/__wasm_split.js`, "utf8");
/** Everything that `pattern` finds; there must be something. */
const all = (pattern, text, what) => {
  const found = [...text.matchAll(pattern)];
  if (found.length === 0) throw new Error(`${what} not found: has wasm-split-cli changed?`);
  return found;
};
const [[, shared]] = all(/const \{ ([\w, ]+?),? *\} = initSync\(undefined, undefined\);/g, link, "what pieces import");
const loaders = all(/export const __wasm_split_load_(\w+) = wrapAsyncCb\(makeLoad\(([^]*?), \[([^\]]*)\]\)\);/g, link, "parts");
const pieces = new Map(loaders.map(([, name, own, chunks]) => [
  name,
  [...chunks.split(", ").filter((chunk) => chunk !== "").map((chunk) => chunk.replace(/^__/, "")),
    ...(own.includes(`./split_${name}.wasm`) ? [`split_${name}`] : [])],
]));
const read = (piece) => readFileSync(`${split}/${piece}.wasm`);

const hash = createHash("sha256").update(readFileSync(`${out}/web_bg.wasm`));
for (const piece of [...new Set([...pieces.values()].flat())].sort()) hash.update(piece).update(read(piece));
const build = hash.digest("hex").slice(0, 16);

const uleb = (value) => {
  const bytes = [];
  do {
    bytes.push((value & 127) | (value > 127 ? 128 : 0));
    value >>>= 7;
  } while (value > 0);
  return Buffer.from(bytes);
};
const section = (name, content) => {
  const body = Buffer.concat([uleb(name.length), Buffer.from(name), Buffer.from(content)]);
  return Buffer.concat([Buffer.from([0]), uleb(body.length), body]);
};
/** All that is there before a part. */
const before = (name) => (name in NEEDS ? [...pieces.get(NEEDS[name]), ...before(NEEDS[name])] : []);
for (const [name, own] of pieces) {
  const there = new Set(before(name));
  const kept = own.filter((piece) => !there.has(piece));
  writeFileSync(`${out}/${name}.wasm`, Buffer.concat([
    Buffer.from([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0]),
    section("build", build),
    section("pieces", kept.join(" ")),
    ...kept.map((piece) => section(piece, read(piece))),
  ]));
}

writeFileSync(`${out}/__wasm_split.js`, `// Written by scripts/pack-parts.mjs.
import { initSync } from "./web.js";
import { partLoader } from "../parts.js";

let shared;
function imports() {
  if (shared === undefined) {
    const { ${shared} } = initSync(undefined, undefined);
    shared = { __wasm_split: { ${shared} } };
  }
  return shared;
}
const part = partLoader({ build: "${build}", needs: ${JSON.stringify(NEEDS)}, imports });
${[...pieces.keys()].map((name) => `export const __wasm_split_load_${name} = part("${name}");`).join("\n")}
`);
