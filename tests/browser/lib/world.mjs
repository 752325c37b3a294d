// The demo and a browser for one file of journeys. Every journey runs in its own browser context, without and with
// JavaScript. At its end the harness checks for server errors, blocked content and cookie attributes.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, openSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

export const HERE = dirname(dirname(fileURLToPath(import.meta.url)));
export const BINARY = resolve(process.env.SIGNPOST_BIN ?? join(HERE, "../../target/debug/signpost"));
const CHROMIUM = process.env.CHROMIUM_BIN ?? "/usr/bin/chromium";
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];
const ACTION_TIMEOUT = 15_000;
const START_TIMEOUT = 90_000;

export const WIDE = { width: 1280, height: 900 };
export const NARROW = { width: 320, height: 640 };
/** A window of 1280 by 1024 at a zoom of 400 % (WCAG 2.2, 1.4.10). */
export const ZOOMED = { width: 320, height: 256 };

/** Starts the demo and a browser before the tests of a file and stops both after them. */
export function useWorld() {
  const world = new World();
  before(() => world.start(), { timeout: START_TIMEOUT + 30_000 });
  after(() => world.stop());
  return world;
}

export class World {
  /** Third-party origins whose console errors are ignored. */
  externalOrigins = [];

  async start() {
    this.demo = await startDemo();
    Object.assign(this, this.demo.description);
    await this.openBrowser();
  }

  async openBrowser() {
    this.browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS, timeout: 60_000 });
  }

  async stop() {
    await this.browser?.close();
    await this.demo?.stop();
  }

  /** An address of the gateway. */
  url(path) {
    return new URL(path, this.gateway).href;
  }

  /** The address of a biller's vanity host. */
  hostOf(slug) {
    return `http://${slug}.localhost:${new URL(this.gateway).port}/`;
  }

  /** A new browser context with one page. */
  async newVisitor({ js = true, viewport = WIDE, locale = "en-US" } = {}) {
    const context = await this.browser.newContext({ javaScriptEnabled: js, viewport, locale });
    context.setDefaultTimeout(ACTION_TIMEOUT);
    context.setDefaultNavigationTimeout(ACTION_TIMEOUT);
    const visitor = new Visitor(this, context);
    visitor.js = js;
    visitor.page = await context.newPage();
    return visitor;
  }

  /** Declares a journey, without and with JavaScript. */
  journey(name, body, { scripts = [false, true], locale } = {}) {
    for (const js of scripts) {
      test(`${name} (${js ? "with" : "without"} JavaScript)`, { timeout: 90_000 }, async () => {
        const visitor = await this.newVisitor({ js, locale });
        try {
          await body(visitor);
          await visitor.verify();
        } catch (error) {
          throw await visitor.explain(name, error);
        } finally {
          await visitor.close();
        }
      });
    }
  }
}

/** A browser context that records its requests, responses and console errors. */
export class Visitor {
  /** Expected statuses from 500 on. */
  expectedStatuses = new Set();
  requests = [];
  #consoleErrors = [];
  #responses = [];

  constructor(world, context) {
    this.world = world;
    this.context = context;
    context.on("request", (request) => this.requests.push(request.url()));
    context.on("response", (response) => this.#responses.push(response));
    context.on("console", (message) => this.#onConsole(message));
    context.on("weberror", (error) => this.#consoleErrors.push(`script error: ${error.error()}`));
  }

  /** A second browser on the same world. */
  async inAnotherBrowser() {
    this.others ??= [];
    const other = await this.world.newVisitor({ js: true });
    other.expectedStatuses = this.expectedStatuses;
    this.others.push(other);
    return other;
  }

  /** The last requested gateway URL that starts with this path. */
  lastRequest(path) {
    const found = this.requests.findLast((url) => url.startsWith(this.world.url(path)));
    assert.ok(found, `no request for ${path}`);
    return found;
  }

  #onConsole(message) {
    if (message.type() !== "error") return;
    const { url } = message.location();
    if (this.world.externalOrigins.some((origin) => url.startsWith(origin))) return;
    // Chromium logs every error status. verify() checks statuses.
    const isStatus = message.text().startsWith("Failed to load resource: the server responded with a status");
    if (!isStatus) this.#consoleErrors.push(`${message.text()} (${url})`);
  }

  /** Checks that apply to every journey. */
  async verify() {
    assert.deepEqual(this.#consoleErrors, [], "console errors");
    for (const response of this.#responses) {
      const status = response.status();
      const address = new URL(response.url());
      assert.ok(status < 500 || this.expectedStatuses.has(status), `${status} from ${address.origin}${address.pathname}`);
      if (address.origin === this.world.gateway) await checkCookies(response);
    }
    for (const other of this.others ?? []) await other.verify();
  }

  /** Adds screenshot, page text and console errors to an error. */
  async explain(name, error) {
    const folder = join(HERE, "screenshots", "failed");
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `${name.replace(/[^a-z0-9]+/gi, "-")}.png`);
    let seen = "";
    for (const page of this.context.pages()) {
      try {
        await page.screenshot({ path: file });
        seen += `\n  page: ${page.url().slice(0, 120)}\n  ${(await page.locator("body").innerText()).slice(0, 400)}`;
      } catch {
        seen += "\n  (no screenshot)";
      }
    }
    const consoleErrors = this.#consoleErrors.join("; ") || "none";
    error.stack = `${error.stack}\n  seen:${seen}\n  console errors: ${consoleErrors}`;
    return error;
  }

  async close() {
    for (const other of this.others ?? []) await other.close();
    await this.context.close();
  }
}

/** Cookies of the gateway are host-only and unavailable to scripts. */
async function checkCookies(response) {
  const headers = await response.headersArray();
  for (const { name, value } of headers) {
    if (name.toLowerCase() !== "set-cookie") continue;
    for (const line of value.split("\n")) {
      const [pair, ...rest] = line.split(";").map((part) => part.trim());
      const attributes = new Set(rest.map((part) => part.toLowerCase()));
      assert.match(pair, /^__Host-/, "cookie name");
      for (const required of ["secure", "httponly", "path=/", "samesite=lax"]) {
        assert.ok(attributes.has(required), `${required} is missing on ${pair.split("=")[0]}`);
      }
      assert.ok(![...attributes].some((one) => one.startsWith("domain")), "cookie with a domain");
    }
  }
}

async function startDemo() {
  assert.ok(existsSync(BINARY), `${BINARY} is missing: run cargo build first`);
  const log = logFile();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await tryDemo(log);
    } catch (error) {
      // Another process may have taken a port meanwhile.
      if (attempt === 3) throw error;
    }
  }
}

/** Log file of the programs that a test file starts. */
export function logFile(suffix = "") {
  const logs = join(HERE, "logs");
  mkdirSync(logs, { recursive: true });
  return join(logs, `${basename(process.argv[1] ?? "demo", ".mjs")}${suffix}.log`);
}

async function tryDemo(log) {
  const data = mkdtempSync(join(tmpdir(), "signpost-journeys-"));
  const base = await freeBase();
  const child = spawn(BINARY, ["demo", "--json", "--port-base", String(base), "--data", data], {
    stdio: ["ignore", "pipe", openSync(log, "w")],
  });
  const ended = new Promise((done) => child.once("exit", done));
  const stop = async () => {
    child.kill("SIGTERM");
    const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
    await ended;
    clearTimeout(late);
    rmSync(data, { recursive: true, force: true });
  };
  const line = new Promise((done, fail) => {
    createInterface({ input: child.stdout }).once("line", done);
    child.once("error", fail);
    child.once("exit", (code) => fail(new Error(`the demo ended with ${code}, see ${log}`)));
    setTimeout(() => fail(new Error("the demo did not start in time")), START_TIMEOUT).unref();
  });
  try {
    return { description: JSON.parse(await line), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The first of six consecutive free ports. */
export async function freeBase() {
  for (;;) {
    const base = 20_000 + 6 * Math.floor(Math.random() * 2_000);
    const free = await Promise.all([0, 1, 2, 3, 4, 5].map((offset) => isFree(base + offset)));
    if (free.every(Boolean)) return base;
  }
}

function isFree(port) {
  return new Promise((done) => {
    const server = createServer();
    server.once("error", () => done(false));
    server.listen(port, "127.0.0.1", () => server.close(() => done(true)));
  });
}
