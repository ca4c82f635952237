// What wasm-split-cli wrote: the parts of the page's module, and the pieces that each is made of.
import { readFileSync } from "node:fs";

/** What rustc's Wasm may use. */
export const FEATURES = ["mutable-globals", "nontrapping-float-to-int", "bulk-memory", "bulk-memory-opt", "sign-ext", "reference-types", "multivalue"]
  .map((feature) => `--enable-${feature}`);
/** How wasm-opt makes Wasm small. Below 1024 is the far end of the stack, where nothing is kept. What is named alike is alike: side by side it compresses by 3 % more. */
export const SMALL = ["--low-memory-unused", "-Oz", "-Oz", "--reorder-functions-by-name", "--strip-debug", "--strip-producers"];

/** Parts that another comes before, whose pieces they do without. */
export const NEEDS = {
  profiles: "form", models: "form", simulator: "profiles", reader: "profiles", texts: "profiles",
  questions: "profiles", setups: "profiles", results: "profiles", more: "profiles",
  files: "simulator", fleets: "simulator", dialogs: "more",
};

/**
 * shared    names of what pieces import of the module
 * files     for each part the pieces of its file; pieces that the same files need are one: `joined`
 * joined    for each of these, which of wasm-split-cli's it is made of
 */
export function readPieces(split) {
  const link = readFileSync(`${split}/__wasm_split.js`, "utf8");
  /** Everything that `pattern` finds; there must be something. */
  const all = (pattern, what) => {
    const found = [...link.matchAll(pattern)];
    if (found.length === 0) throw new Error(`${what} not found: has wasm-split-cli changed?`);
    return found;
  };
  const [[, shared]] = all(/const \{ ([\w, ]+?),? *\} = initSync\(undefined, undefined\);/g, "what pieces import");
  const loaders = all(/export const __wasm_split_load_(\w+) = wrapAsyncCb\(makeLoad\(([^]*?), \[([^\]]*)\]\)\);/g, "parts");
  const parts = new Map(loaders.map(([, name, own, chunks]) => [
    name,
    [...chunks.split(", ").filter((chunk) => chunk !== "").map((chunk) => chunk.replace(/^__/, "")),
      ...(own.includes(`./split_${name}.wasm`) ? [`split_${name}`] : [])],
  ]));
  /** All that is there before a part. */
  const before = (name) => (name in NEEDS ? [...parts.get(NEEDS[name]), ...before(NEEDS[name])] : []);
  const users = new Map();
  for (const [name, own] of parts) {
    const there = new Set(before(name));
    for (const piece of own) if (!there.has(piece)) users.set(piece, [...(users.get(piece) ?? []), name]);
  }
  const joined = new Map();
  const files = new Map([...parts.keys()].map((name) => [name, []]));
  for (const [piece, names] of users) {
    const piecesName = names.join("-");
    if (!joined.has(piecesName)) {
      joined.set(piecesName, []);
      for (const name of names) files.get(name).push(piecesName);
    }
    joined.get(piecesName).push(piece);
  }
  return { shared: shared.split(", "), files, joined };
}
