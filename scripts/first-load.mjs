// What a first visit loads: before its answer can be read, until the page's frame is alive and until its form is, and until it
// has found the answer itself.
// The list for the offline copy, and how much it weighs.
//
//   node scripts/first-load.mjs write         writes www/pkg/precache.js: the list, and a version made of the contents; and
//                                             what is built or loaded also compressed, for `profiler serve` and hosts that take it
//   node scripts/first-load.mjs check ANSWER ALIVE FORM OWN   prints each file gzipped, as hosts send it; fails where what
//                                             is loaded until then is above as many bytes: until the answer can be read,
//                                             the frame is alive, the form is, the page has found the answer itself
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";

const www = fileURLToPath(new URL("../www/", import.meta.url));
const read = (file) => readFileSync(www + file);

/** What the profile of the first visit is called: the first of the gallery. */
const example = `profiles/${JSON.parse(read("profiles/index.json"))[0].file}`;
/** What a first visit does without, or what is no part of the kept copy. */
const LATER = ["service-worker.js", "composer.js"];
/** What is there before the first paint: the answer of a visit that asks for nothing, and how it looks. */
const answer = ["index.html", "first-paint.js", ...readdirSync(www + "style").filter((file) => file.endsWith(".css")).map((file) => `style/${file}`)];
/** The frame, which is alive then: which question, files, help, what stands in its places. */
const alive = [
  ...readdirSync(www).filter((file) => /\.(js|svg|webmanifest)$/.test(file) && !LATER.includes(file) && !answer.includes(file)),
  "pkg/web.js",
  "pkg/__wasm_split.js",
  "pkg/web_bg.wasm",
  ...readdirSync(www + "pkg", { recursive: true }).map(String).filter((file) => /^snippets.*\.js$/.test(file)).map((file) => `pkg/${file}`),
];
/** The form: what can be asked. */
const form = ["pkg/form.wasm"];
/** What finds the answer. */
const own = ["pkg/profiles.wasm", "pkg/simulator.wasm", "pkg/questions.wasm", "profiles/index.json", example];
const kept = [...answer, ...alive, ...form, ...own];

/** Parts that a first answer does without; they are kept once it is shown, so that the whole page works offline. */
const parts = readdirSync(www + "pkg").map((file) => `pkg/${file}`).filter((file) => file.endsWith(".wasm") && !kept.includes(file));

const [command, ...limits] = process.argv.slice(2);
if (command === "write") {
  const hash = createHash("sha256");
  for (const file of [...kept, ...parts]) hash.update(`${file}\0${createHash("sha256").update(read(file)).digest("hex")}\n`);
  const precache = { version: hash.digest("hex").slice(0, 16), files: [...kept, ...parts] };
  writeFileSync(`${www}pkg/precache.js`, `// Written by scripts/build-web.sh.\nconst PRECACHE = ${JSON.stringify(precache, null, 1)};\n`);
  for (const file of new Set([...kept, ...readdirSync(`${www}pkg`, { recursive: true }).map((file) => `pkg/${file}`)])) {
    if (/\.(js|wasm|html|css|json)$/.test(file)) compress(www + file);
  }
}
if (command !== "write" && command !== "check") throw new Error("write, or check ANSWER ALIVE FORM OWN");

const weights = [
  ["before its answer is shown", weigh(answer)],
  ["until the page's frame is alive", weigh(alive)],
  ["until its form is", weigh(form)],
  ["until it has found its answer", weigh(own)],
];
for (const file of [...parts, "service-worker.js", "pkg/precache.js"]) weigh([file], " (later)");
let zipped = 0;
for (const [place, [what, more]] of weights.entries()) {
  zipped += more;
  console.log(`${zipped} bytes gzipped ${what}`);
  if (command === "check" && !(zipped <= Number(limits[place]))) {
    console.error(`check-size: error: a first visit loads ${zipped} bytes ${what}, more than ${limits[place]}`);
    process.exitCode = 1;
  }
}

/** Says what each file weighs; the gzipped bytes together. */
function weigh(files, note = "") {
  let together = 0;
  for (const file of files) {
    const bytes = read(file);
    const gzip = gzipSync(bytes, { level: 9 }).length;
    together += gzip;
    console.log(`${String(bytes.length).padStart(9)} bytes ${String(gzip).padStart(8)} gzipped  ${file}${note}`);
  }
  return together;
}

/** Beside the file, if it is newer; hosts choose by the ending. */
function compress(file) {
  const isThere = (ending) => statSync(file + ending, { throwIfNoEntry: false })?.mtimeMs >= statSync(file).mtimeMs;
  if (isThere(".br") && isThere(".gz")) return;
  const content = readFileSync(file);
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 24, [constants.BROTLI_PARAM_SIZE_HINT]: content.length };
  writeFileSync(`${file}.br`, brotliCompressSync(content, { params }));
  writeFileSync(`${file}.gz`, gzipSync(content, { level: 9 }));
}
