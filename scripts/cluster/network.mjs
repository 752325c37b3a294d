// A TCP proxy that is slow, or forwards nothing, on request.

import net from "node:net";

import { pause } from "./processes.mjs";

export class Proxy {
  #connections = new Set();
  #server;
  #delay = 0;
  #isCut = false;

  /** Listens on a port of 127.0.0.1. `upstream` is an argument of net.connect. */
  constructor(port, upstream) {
    Object.assign(this, { port, upstream });
  }

  async listen() {
    this.#server = net.createServer({ noDelay: true }, (client) => this.#forward(client));
    await new Promise((done, fail) => this.#server.once("error", fail).listen(this.port, "127.0.0.1", done));
  }

  #forward(client) {
    const server = net.connect({ noDelay: true, ...this.upstream });
    this.#connections.add(client);
    for (const [from, to] of [[client, server], [server, client]]) {
      let last = Promise.resolve();
      // In order, whatever the delay becomes meanwhile. What arrives while the network is cut is lost.
      const deliver = (action) => {
        if (this.#isCut) return;
        const due = performance.now() + this.#delay;
        last = last.then(() => pause(due - performance.now())).then(() => this.#isCut || action());
      };
      from.on("data", (part) => deliver(() => to.writable && to.write(part)));
      from.on("end", () => deliver(() => to.writable && to.end()));
      from.on("error", () => to.destroy());
      from.on("close", () => {
        this.#connections.delete(client);
        deliver(() => to.destroy());
      });
    }
  }

  /** Milliseconds in each direction. */
  slowDown(ms) {
    this.#delay = ms;
  }

  /** Neither data nor the end of a connection arrives any more. */
  cut() {
    this.#isCut = true;
  }

  /** The network is as before; connections that lost data are gone. */
  restore() {
    this.#delay = 0;
    if (this.#isCut) this.reset();
    this.#isCut = false;
  }

  reset() {
    for (const client of this.#connections) client.destroy();
    this.#connections.clear();
  }

  /** Connections are refused from now on. */
  async close() {
    const closed = new Promise((done) => this.#server.close(done));
    this.reset();
    await closed;
  }
}
