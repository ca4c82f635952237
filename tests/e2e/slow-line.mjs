// A line with a rate and a latency between the browser and a server: what one page load shares, workers and all.
//
//   const line = await slowLine(port, { bitsPerSecond: 1.6e6, latencyMs: 150 });
//   line.port      to be asked instead of the server's
//   line.bytes()   what has come down the line so far, headers included
import { connect, createServer } from "node:net";

export async function slowLine(target, { bitsPerSecond, latencyMs }) {
  const bytesPerMs = bitsPerSecond / 8 / 1000;
  let free = 0; // When the line has sent what it was given, in ms.
  let bytes = 0;
  const later = (ms, run) => setTimeout(run, ms);
  const line = createServer((client) => {
    const server = connect(target, "127.0.0.1");
    // A connection takes a round trip before its first byte, and each way takes half of one.
    const opened = performance.now() + latencyMs;
    client.on("data", (chunk) => later(Math.max(opened - performance.now(), 0) + latencyMs / 2, () => server.write(chunk)));
    server.on("data", (chunk) => {
      // In pieces, as packets, so that two answers share the line.
      for (let at = 0; at < chunk.length; at += 1400) {
        const packet = chunk.subarray(at, at + 1400);
        free = Math.max(free, performance.now()) + packet.length / bytesPerMs;
        later(free - performance.now() + latencyMs / 2, () => {
          bytes += packet.length;
          client.write(packet);
        });
      }
    });
    const end = () => later(Math.max(free - performance.now(), 0) + latencyMs, () => { client.end(); server.end(); });
    for (const socket of [client, server]) socket.on("end", end).on("error", () => { client.destroy(); server.destroy(); });
  });
  await new Promise((ready) => line.listen(0, "127.0.0.1", ready));
  return { port: line.address().port, bytes: () => bytes, close: () => line.close() };
}
