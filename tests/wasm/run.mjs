// Runs the Wasm module's digests and compares them with the native ones; exit 1 at the first that differs.
//   node run.mjs MODULE.wasm NATIVE.txt      (lines of NATIVE.txt: number, digest in hexadecimal)
import { readFile } from "node:fs/promises";

const [modulePath, nativePath] = process.argv.slice(2);
if (nativePath === undefined) fail("usage: node run.mjs MODULE.wasm NATIVE.txt");

function fail(message) {
  console.error(`test-wasm: ${message}`);
  process.exit(1);
}

const native = (await readFile(nativePath, "utf8")).trim().split("\n").map((line) => line.split(" "));
const { instance } = await WebAssembly.instantiate(await readFile(modulePath));
const { digest, num_workloads: numWorkloads } = instance.exports;

if (native.length !== numWorkloads()) {
  fail(`the module has ${numWorkloads()} workloads, the native program printed ${native.length}`);
}
for (const [position, [index, expected]] of native.entries()) {
  if (index !== String(position)) fail(`line ${position + 1} of ${nativePath} is about workload ${index}`);
  let got;
  try {
    got = BigInt.asUintN(64, digest(position)).toString(16).padStart(16, "0");
  } catch (error) {
    fail(`workload ${index} ended with an error under Wasm: ${error}`);
  }
  if (got !== expected) fail(`workload ${index} differs: native ${expected}, Wasm ${got}`);
}
console.error(`test-wasm: ${native.length} workloads have the same digest natively and under Wasm`);
