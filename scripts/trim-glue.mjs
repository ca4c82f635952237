// What wasm-bindgen wrote, without what a visit loads for nothing: classes of libraries that nobody uses, with the functions
// that only they call; long names of what module and glue call of each other; comments.
//
//   node scripts/trim-glue.mjs SPLIT OUT      SPLIT: what wasm-split-cli wrote; OUT: www/pkg, whose web.js and web_bg.wasm change
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { FEATURES, SMALL, readPieces } from "./pieces.mjs";

const [split, out] = process.argv.slice(2);
const { shared } = readPieces(split);
const tool = (name, ...args) => execFileSync(name, [...args, ...FEATURES], { maxBuffer: 1 << 28, stdio: ["ignore", "pipe", "ignore"] });

let glue = readFileSync(`${out}/web.js`, "utf8");
tool("wasm-dis", `${out}/web_bg.wasm`, "-o", `${split}/web.wat`);
let text = readFileSync(`${split}/web.wat`, "utf8");

/** Leptos brings streams of answers to a server's functions: the page has no server. */
const CLASS = /^export class (IntoUnderlying\w+) \{\n[^]*?^\}\nif \(Symbol\.dispose\) .*\n/gm;
const unused = [...glue.matchAll(CLASS)].map(([, name]) => name);
if (unused.length !== 3) throw new Error(`unused classes: ${unused}; have Leptos or wasm-bindgen changed?`);
glue = glue.replace(CLASS, "");
for (const name of unused) {
  glue = glue.replace(new RegExp(String.raw`^const ${name}Finalization = [^]*?;\n`, "m"), "");
  text = text.replace(new RegExp(String.raw`^ \(export "(__wbg_)?${name.toLowerCase()}_\w+" .*\)\n`, "gm"), "");
}
if (/IntoUnderlying/.test(glue)) throw new Error("something uses a class that is taken for unused");

// Where parts come from is the same module, however often it is named.
const SPLIT = "./__wasm_split.js";
glue = glue
  .replace(/^import \* as import(?!1 )\d+ from ".\/__wasm_split.js"\n/gm, "")
  .replace(/^ *".\/__wasm_split.js": import(?!1,)\d+,\n/gm, "");
if (glue.split(SPLIT).length !== 3) throw new Error("the import of parts is not as expected: has wasm-bindgen changed?");

/** Other names for what one side has under long ones. */
const short = new Map();
const shorten = (name) => {
  if (!short.has(name)) short.set(name, `$${short.size.toString(36)}`);
  return short.get(name);
};
text = text
  .replace(/^( \(import "\.\/web_bg\.js" )"(\w+)"/gm, (_, before, name) => `${before}"${shorten(name)}"`)
  .replace(/^( \(export )"(\w+)"/gm, (line, before, name) => (shared.includes(name) ? line : `${before}"${shorten(name)}"`));
glue = glue.replace(/^( {8})(\w+)(?=: function)/gm, (line, before, name) => (short.has(name) ? before + short.get(name) : line))
  .replace(/\bwasm\.(\w+)/g, (all, name) => (short.has(name) ? `wasm.${short.get(name)}` : all));

// Lines begin in no text: then what stands before them means nothing.
for (const line of glue.split("\n")) {
  if (line.split("`").length % 2 === 0) throw new Error(`a text of several lines: ${line}`);
}
glue = glue.replace(/^\s*\/\*\*[^]*?\*\/\n/gm, "").replace(/^\s*\/\/.*\n/gm, "").replace(/^\s+/gm, "");

writeFileSync(`${split}/web.wat`, text);
tool("wasm-opt", `${split}/web.wat`, "-o", `${out}/web_bg.wasm`, ...SMALL);

// What only those classes called is imported no longer.
const module = new WebAssembly.Module(readFileSync(`${out}/web_bg.wasm`));
const imported = new Set(WebAssembly.Module.imports(module).map(({ name }) => name));
glue = glue.replace(/^(\$\w+): function\([^]*?^\},\n(?=\$|__|\})/gm, (whole, name) => (imported.has(name) ? whole : ""));
const missing = [...imported].filter((name) => name.startsWith("$") && !glue.includes(`\n${name}: function(`));
if (missing.length > 0) throw new Error(`the glue has no ${missing}`);
writeFileSync(`${out}/web.js`, glue);
