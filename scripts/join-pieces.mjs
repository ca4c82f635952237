// Of the hundreds of pieces that wasm-split-cli makes, those that the same files need become one, which is then optimised as a
// whole: what one piece called of another through the table of functions is a call again.
//
//   node scripts/join-pieces.mjs SPLIT      SPLIT: what wasm-split-cli wrote; each joined piece is SPLIT/joined/NAME.wasm
import { execFile } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { promisify } from "node:util";
import { FEATURES, SMALL, readPieces } from "./pieces.mjs";

const run = promisify(execFile);
const [split] = process.argv.slice(2);
const { shared, joined } = readPieces(split);
const out = `${split}/joined`;
mkdirSync(out, { recursive: true });

const tool = (name, ...args) => run(name, [...args, ...FEATURES], { maxBuffer: 1 << 28 });

/** A name in Wasm's text. */
const NAME = String.raw`\$(?:"(?:[^"\\]|\\.)*"|[^\s()]+)`;

/** Imports what pieces import, and exports it to them: so that of many imports of the same one is left. */
async function door() {
  const piece = [...joined.values()][0][0];
  await tool("wasm-dis", `${split}/${piece}.wasm`, "-o", `${out}/door.wat`);
  const text = readFileSync(`${out}/door.wat`, "utf8");
  const imports = [...text.matchAll(/^ \(import "__wasm_split" "(\w+)" \((memory|table|global) (\S+) .*\)\)$/gm)];
  const missing = shared.filter((name) => !imports.some(([, found]) => found === name));
  if (missing.length > 0) throw new Error(`${piece} does not import ${missing}: has wasm-split-cli changed?`);
  const exports = imports.map(([, name, kind, id]) => ` (export "${name}" (${kind} ${id}))`);
  writeFileSync(`${out}/door.wat`, `(module\n${imports.map(([line]) => line.replace("__wasm_split", "page")).join("\n")}\n${exports.join("\n")}\n)`);
  await tool("wasm-as", `${out}/door.wat`, "-o", `${out}/door.wasm`);
}

/** Calls through the table what is in the same module: calls it. */
function direct(text) {
  const slots = new Map();
  for (const [, first, names] of text.matchAll(new RegExp(String.raw`^ \(elem \S+ \(i32\.const (\d+)\)((?: ${NAME})*)\)$`, "gm"))) {
    [...names.matchAll(new RegExp(NAME, "g"))].forEach(([name], place) => slots.set(Number(first) + place, name));
  }
  // A function that does nothing else.
  const shim = new RegExp(
    String.raw`^ \(func (${NAME})(?: \(param \S+ \w+\))*(?: \(result [\w ]+\))?\n  \(call_indirect \S+ \(type \S+\)\n(?:   \(local\.get \$\d+\)\n)*   \(i32\.const (\d+)\)\n  \)\n \)$`,
    "gm",
  );
  const meant = new Map();
  for (const [, name, slot] of text.matchAll(shim)) if (slots.has(Number(slot))) meant.set(name, slots.get(Number(slot)));
  return text
    .replace(new RegExp(String.raw`\(call (${NAME})`, "g"), (call, name) => (meant.has(name) ? `(call ${meant.get(name)}` : call))
    .replace(new RegExp(String.raw`^ \(export "(?:${shared.join("|")})" .*\)$`, "gm"), "")
    .replace(/^ \(import "page" /gm, ' (import "__wasm_split" ');
}

async function join([name, pieces]) {
  const file = `${out}/${name}`;
  if (pieces.length === 1) {
    await tool("wasm-opt", `${split}/${pieces[0]}.wasm`, "-o", `${file}.wasm`, ...SMALL);
    return;
  }
  const given = pieces.flatMap((piece) => [`${split}/${piece}.wasm`, piece]);
  await tool("wasm-merge", `${out}/door.wasm`, "__wasm_split", ...given, "-S", "-o", `${file}.wat`, "-g", "--skip-export-conflicts");
  writeFileSync(`${file}.wat`, direct(readFileSync(`${file}.wat`, "utf8")));
  await tool("wasm-opt", `${file}.wat`, "-o", `${file}.wasm`, ...SMALL);
}

await door();
// The largest first, so that none is left for last.
const waiting = [...joined].sort(([, a], [, b]) => b.length - a.length);
await Promise.all(Array.from({ length: availableParallelism() }, async () => {
  for (let next = waiting.shift(); next; next = waiting.shift()) await join(next);
}));
