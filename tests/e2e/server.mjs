// A static host for the tests: 127.0.0.1, a free port, right types, nothing outside the folder, every request counted.
//
//   const server = await serve(folder, { prefix: "/some/path/" });
//   server.url                       http://127.0.0.1:PORT/some/path/
//   server.at("page.localhost")      the same under another name of this machine (there the page keeps an offline copy)
//   server.count("pkg/web.js")       how often it was asked for; server.requests: all, in order, relative to the prefix
//   const release = server.hold("pkg/web_bg.wasm")    answers to it wait until release() is called
//   server.replace("index.html", text)                what is served instead of a file; undefined: 404
//   server.unplug()                  from here on there is no network
//   server.restore()                 undoes hold, replace and unplug; done after each test
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = {
  ".css": "text/css; charset=utf-8",
  ".csv": "text/csv; charset=utf-8",
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".json": "application/json",
  ".svg": "image/svg+xml",
  ".wasm": "application/wasm",
  ".webmanifest": "application/manifest+json",
};

export async function serve(folder, { prefix = "/" } = {}) {
  const requests = [];
  const held = new Map();
  const replaced = new Map();
  let isUnplugged = false;

  async function answer(request, response) {
    if (isUnplugged) return request.socket.destroy();
    const path = normalize(decodeURIComponent(new URL(request.url, "http://host").pathname));
    if (!path.startsWith(prefix)) return response.writeHead(404).end("not found");
    const file = path.slice(prefix.length).replace(/(^|\/)$/, "$1index.html");
    requests.push(file);
    await held.get(file)?.promise;
    try {
      const body = replaced.has(file) ? replaced.get(file) : await readFile(join(folder, file));
      if (body === undefined) throw new Error("taken away");
      response.writeHead(200, { "content-type": TYPES[extname(file)] ?? "application/octet-stream", "cache-control": "no-cache" });
      response.end(body);
    } catch {
      response.writeHead(404).end("not found");
    }
  }

  const server = createServer(answer);
  await new Promise((ready) => server.listen(0, "127.0.0.1", ready));
  const { port } = server.address();
  const at = (host) => `http://${host}:${port}${prefix}`;
  return {
    url: at("127.0.0.1"),
    at,
    requests,
    count: (file) => requests.filter((request) => request === file).length,
    hold(file) {
      let release;
      const promise = new Promise((resolve) => (release = resolve));
      const letGo = () => {
        held.delete(file);
        release();
      };
      held.set(file, { promise, letGo });
      return letGo;
    },
    replace: (file, body) => replaced.set(file, body),
    unplug() {
      isUnplugged = true;
      server.closeAllConnections();
    },
    restore() {
      isUnplugged = false;
      replaced.clear();
      for (const { letGo } of [...held.values()]) letGo();
    },
    close: () =>
      new Promise((closed) => {
        server.close(closed);
        server.closeAllConnections();
      }),
  };
}
