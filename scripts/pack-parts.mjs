// The parts that wasm-split-cli made of the page's module become files that hosts and browsers know how to treat.
//
//   node scripts/pack-parts.mjs SPLIT OUT      SPLIT: what wasm-split-cli wrote, its pieces joined by join-pieces.mjs; OUT: www/pkg
//
// Writes OUT/NAME.wasm for each part, and OUT/__wasm_split.js, through which the module asks for them. www/parts.js says
// how a file is made up. A part has every piece that it needs, but for those of the part that is always there before it.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { NEEDS, readPieces } from "./pieces.mjs";

const [split, out] = process.argv.slice(2);
const { shared, files, joined } = readPieces(split);
const read = (piece) => readFileSync(`${split}/joined/${piece}.wasm`);

const hash = createHash("sha256").update(readFileSync(`${out}/web_bg.wasm`));
for (const piece of [...joined.keys()].sort()) hash.update(piece).update(read(piece));
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
for (const [name, kept] of files) {
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
    const { ${shared.join(", ")} } = initSync(undefined, undefined);
    shared = { __wasm_split: { ${shared.join(", ")} } };
  }
  return shared;
}
const part = partLoader({ build: "${build}", needs: ${JSON.stringify(NEEDS)}, imports });
${[...files.keys()].map((name) => `export const __wasm_split_load_${name} = part("${name}");`).join("\n")}
`);
