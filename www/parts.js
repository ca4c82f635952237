// Parts of the page's module that come when they are needed (web/src/parts.rs): fetched, checked, put beside the module
// that runs. Used by the page, by its workers, and by pkg/__wasm_split.js, which scripts/pack-parts.mjs writes.
//
// A part is one file, pkg/NAME.wasm: an empty module whose custom sections hold the pieces. What several parts need is a
// piece of each; it is taken from the part that comes first.

const given = new Map();

/** What is compiled already, for another thread has fetched it; or a promise of that, of nothing where it did not come. */
export function give(parts) {
  for (const [name, file] of Object.entries(parts)) given.set(name, file);
}

/** A file of Wasm, compiled. */
export async function compiled(url) {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url}: ${response.status} ${response.statusText}`);
  // Some hosts serve Wasm under another type, which the streaming compiler refuses.
  return response.headers.get("content-type")?.startsWith("application/wasm")
    ? WebAssembly.compileStreaming(response)
    : WebAssembly.compile(await response.arrayBuffer());
}

/** The file of a part. */
export const fetchPart = (name) => compiled(new URL(`./pkg/${name}.wasm`, import.meta.url));

const section = (file, name) => WebAssembly.Module.customSections(file, name)[0];
const text = (file, name) => new TextDecoder().decode(section(file, name));

/**
 * Functions that put parts beside the module.
 *
 * build     what the module was built with, which a part must be of, too
 * needs     for a part, another whose pieces it has not got
 * imports   what the pieces import, once the module runs
 */
export function partLoader({ build, needs, imports }) {
  const placed = new Map();
  // What has failed is tried again by whoever asks next.
  const once = (key, begin) => {
    if (!placed.has(key)) {
      const promise = begin();
      placed.set(key, promise);
      promise.catch(() => placed.delete(key));
    }
    return placed.get(key);
  };
  const place = (name) =>
    once(name, async () => {
      if (needs[name]) await place(needs[name]);
      const file = (await given.get(name)) ?? (await fetchPart(name));
      if (text(file, "build") !== build) throw new Error(`pkg/${name}.wasm is of another version than this page`);
      const pieces = text(file, "pieces").split(" ");
      await Promise.all(pieces.map((piece) =>
        once(`piece ${piece}`, () => WebAssembly.instantiate(section(file, piece), imports()))));
    });
  /** As Rust calls it: `callback` is a function of the module's table. */
  return (name) => async (callback, data) => {
    const isPlaced = await place(name).then(() => true, (error) => {
      console.warn(`part ${name} did not load:`, error);
      return false;
    });
    imports().__wasm_split.__indirect_function_table.get(callback)(data, isPlaced);
  };
}
