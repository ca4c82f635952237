// The page without a network, after the first visit.
//
// - The page's own files are kept together, as one version: pkg/precache.js, written by scripts/build-web.sh, lists them,
//   and among them the parts that a first visit did not need. They are fetched after its answer is shown.
//   A new version is fetched aside and waits until the user asks for it or has closed the page.
// - index.html comes from the network if it answers within 3 seconds. A page that came from there and is not the kept
//   one gets its other files from there, too, so that two versions never mix.
// - Profiles, datasets, packs, the list of models and the composer are kept when they are used.
importScripts("pkg/precache.js"); // sets PRECACHE = { version, files }

const PREFIX = `vllm-simulator ${registration.scope} `;
const SHELL = `${PREFIX}shell ${PRECACHE.version}`;
const DATA = `${PREFIX}data`;
const PATIENCE_MS = 3000;
const INDEX = new URL("index.html", registration.scope).href;
const KEPT = new Set(PRECACHE.files.map((file) => new URL(file, registration.scope).href));
/** Pages (and their workers) that were opened from a newer index.html than the kept one. */
const newer = new Set();

addEventListener("install", (event) => {
  // "reload": not from the HTTP cache, where older files may lie.
  const requests = [...KEPT].map((url) => new Request(url, { cache: "reload" }));
  event.waitUntil(caches.open(SHELL).then((cache) => cache.addAll(requests)));
});

addEventListener("activate", (event) => {
  const clear = async () => {
    for (const name of await caches.keys()) {
      if (name.startsWith(PREFIX) && name !== SHELL && name !== DATA) await caches.delete(name);
    }
    // The first visit's page, too, is served from here on.
    await clients.claim();
  };
  event.waitUntil(clear());
});

addEventListener("message", ({ data }) => {
  if (data === "activate") skipWaiting();
});

addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  url.hash = url.search = "";
  if (request.method !== "GET" || !url.href.startsWith(registration.scope)) return;
  if (url.href === registration.scope || url.href === INDEX) {
    event.respondWith(page(event));
  } else if (KEPT.has(url.href)) {
    const fromNetwork = newer.has(event.clientId);
    // A worker is a client of its own, and imports its files under its own name.
    if (fromNetwork && event.resultingClientId) newer.add(event.resultingClientId);
    event.respondWith(fromNetwork ? fetch(request, { cache: "no-cache" }).catch(() => kept(url)) : kept(url));
  } else if (/\/((profiles|datasets|packs)\/[^/]+|models\.json|composer\.js|pkg\/composer\/[^/]+)$/.test(url.pathname)) {
    event.respondWith(data(request));
  }
});

/** A kept file; from the network if the browser has dropped it. */
async function kept(url) {
  const cache = await caches.open(SHELL);
  return (await cache.match(url.href)) ?? fetch(url.href);
}

async function page(event) {
  const cache = await caches.open(SHELL);
  const old = await cache.match(INDEX);
  const patience = AbortSignal.timeout(PATIENCE_MS);
  const online = await fetch(INDEX, { cache: "no-cache", signal: patience }).catch(() => undefined);
  if (!online?.ok) return old ?? fetch(event.request);
  try {
    const text = await online.clone().text();
    if (!old || text !== (await old.clone().text())) newer.add(event.resultingClientId);
    return online;
  } catch {
    return old; // The answer broke off.
  }
}

/** From the network, for a profile may be corrected; else as it was last used. */
async function data(request) {
  const cache = await caches.open(DATA);
  try {
    const response = await fetch(request);
    if (response.ok) await cache.put(request, response.clone());
    return response;
  } catch (error) {
    const old = (await cache.match(request)) ?? (await caches.match(request));
    if (old) return old;
    throw error;
  }
}
