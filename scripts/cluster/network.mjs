// A TCP proxy that is slow, or forwards nothing, on request.

import net from "node:net";

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
      from.on("data", (part) => this.#deliver(() => to.writable && to.write(part)));
      from.on("end", () => this.#deliver(() => to.writable && to.end()));
      from.on("error", () => to.destroy());
      from.on("close", () => {
        this.#connections.delete(client);
        this.#deliver(() => to.destroy());
      });
    }
  }

  /** Everything that arrives while the network is cut is lost. Timers of one duration keep their order. */
  #deliver(action) {
    if (this.#isCut) return;
    if (this.#delay > 0) setTimeout(() => this.#isCut || action(), this.#delay);
    else action();
  }

  /** Milliseconds in each direction. Open connections end, so that nothing overtakes what is under way. */
  slowDown(ms) {
    this.#delay = ms;
    this.reset();
  }

  /** Neither data nor the end of a connection arrives any more. */
  cut() {
    this.#isCut = true;
  }

  /** The network is as before; connections that lost data are gone. */
  restore() {
    this.#isCut = false;
    this.slowDown(0);
  }

  reset() {
    for (const client of this.#connections) client.resetAndDestroy();
    this.#connections.clear();
  }

  /** Connections are refused from now on. */
  async close() {
    const closed = new Promise((done) => this.#server.close(done));
    this.reset();
    await closed;
  }
}
