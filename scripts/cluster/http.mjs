// node's HTTP client, for requests that wait a limited time and follow no redirect.

import http from "node:http";

/** Signpost closes an idle connection after ten seconds; a request that starts at that moment would be lost. */
const agent = new http.Agent({ keepAlive: true, maxSockets: 256, timeout: 5_000 });
/** A customer has long given up by then. */
const TIMEOUT_MS = 30_000;

export function closeConnections() {
  agent.destroy();
}

/** How many connections to a port are open. */
export function connectionsTo(port) {
  const all = [agent.sockets, agent.freeSockets].flatMap((byName) => Object.entries(byName));
  return all.filter(([name]) => name.split(":")[1] === String(port)).reduce((sum, [, sockets]) => sum + sockets.length, 0);
}

/** Sends a request. As browsers do, it repeats a GET if a connection that served others before breaks without a response. */
export async function send(url, options = {}) {
  try {
    return await sendOnce(url, options);
  } catch (error) {
    if (!error.isReusedSocket || error.code !== "ECONNRESET" || (options.method ?? "GET") !== "GET") throw error;
    return sendOnce(url, options);
  }
}

/** `socketPath` replaces host and port of the URL. */
function sendOnce(url, { method = "GET", form, json, headers = {}, socketPath, timeout = TIMEOUT_MS }) {
  const body = form ? new URLSearchParams(form).toString() : json && JSON.stringify(json);
  const type = form ? "application/x-www-form-urlencoded" : "application/json";
  const bodyHeaders = body === undefined ? {} : { "content-type": type, "content-length": Buffer.byteLength(body) };
  const options = { method, agent, headers: { ...headers, ...bodyHeaders }, signal: AbortSignal.timeout(timeout) };
  if (socketPath) Object.assign(options, { socketPath, agent: undefined });
  return new Promise((done, fail) => {
    const request = http.request(url, options, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("error", fail);
      response.on("end", () => {
        done({ status: response.statusCode, headers: response.headers, body: Buffer.concat(parts).toString() });
      });
    });
    request.on("error", (error) => fail(Object.assign(error, { isReusedSocket: request.reusedSocket })));
    request.end(body);
  });
}

/** The cookies that a response sets, for the next request. */
export function cookies(response) {
  return (response.headers["set-cookie"] ?? []).map((line) => line.split(";")[0]).join("; ");
}
