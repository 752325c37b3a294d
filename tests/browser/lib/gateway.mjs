// A gateway as operators install it: the binary, a settings file, imported billers and users, and a small server in place of
// the portals. One gateway and one browser per test file.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, openSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { BINARY, World, freeBase, logFile } from "./world.mjs";
import { expectHeading, signIn } from "./steps.mjs";

const START_TIMEOUT = 60_000;
const WAIT_TIMEOUT = 10_000;
const READING_SCOPES = ["audit:read", "billers:read"].flatMap((scope) => ["--scope", scope]);
const run = promisify(execFile);

/**
 * Starts a gateway and a browser before the tests of a file and stops both after them.
 *
 * `setUp(world)` returns `{ billers, users, withoutUsers, listen, server, limits }`. `billers` are rows of a biller file; `users`
 * are usernames that exist at every biller but those whose slug is in `withoutUsers`; `server` and `limits` extend those sections of the settings. Set `listen` if a
 * reverse proxy listens on the public port. Register cleanups with `world.onStop`.
 */
export function useGateway(setUp, { timeout = 120_000 } = {}) {
  const world = new GatewayWorld(setUp);
  before(() => world.start(), { timeout });
  after(() => world.stop());
  return world;
}

class GatewayWorld extends World {
  #apiKey;
  #cleanups = [];
  #setUp;

  constructor(setUp) {
    super();
    this.#setUp = setUp;
  }

  onStop(cleanup) {
    this.#cleanups.unshift(cleanup);
  }

  async start() {
    assert.ok(existsSync(BINARY), `${BINARY} is missing: run cargo build first`);
    this.folder = mkdtempSync(join(tmpdir(), "signpost-gateway-"));
    this.onStop(() => rmSync(this.folder, { recursive: true, force: true }));
    // The public port; the next three ports are free as well.
    this.port = await freeBase();
    this.gateway = `http://localhost:${this.port}`;
    this.portal = await startPortal(this);
    this.onStop(() => this.portal.close());
    const setUp = await this.#setUp(this);
    const { billers, users = ["one-moved"], withoutUsers = [], listen = this.port, server = {}, limits = {} } = setUp;
    this.#writeSettings(listen, server, limits);
    await this.command("migrate");
    await this.command("import", "billers", this.file("billers.toml", billers.map(billerToml).join("\n")));
    const rows = users.map((username, index) => `${username},person-${index}@example.com`);
    const csv = this.file("users.csv", ["username,email", ...rows, ""].join("\n"));
    for (const { slug } of billers.filter(({ slug }) => !withoutUsers.includes(slug))) {
      await this.command("import", "users", csv, "--biller", slug);
    }
    const key = await this.command("keys", "create", "--name", "portal", "--scope", "handoff:redeem");
    this.portal.key = key.trim();
    await this.#serve();
    await this.openBrowser();
  }

  async stop() {
    await this.browser?.close();
    for (const cleanup of this.#cleanups) await cleanup();
  }

  /** Writes a file into the gateway's folder and returns its path. */
  file(name, text) {
    const path = join(this.folder, name);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  }

  /** Runs a command with the gateway's settings and returns its output. */
  async command(...args) {
    const { stdout } = await run(BINARY, [...args, "--config", join(this.folder, "signpost.toml")]);
    return stdout;
  }

  /** The answer to a GET of the API, with a key that reads everything. */
  async api(path) {
    this.#apiKey ??= (await this.command("keys", "create", "--name", "journeys", ...READING_SCOPES)).trim();
    const answer = await fetch(this.url(path), { headers: { authorization: `Bearer ${this.#apiKey}` } });
    assert.equal(answer.status, 200, path);
    return answer.json();
  }

  /** Ids of the published keys, the active one first. */
  async publishedKeyIds() {
    const answer = await fetch(this.url("/.well-known/jwks.json"));
    const { keys } = await answer.json();
    return keys.map(({ kid }) => kid);
  }

  /** The forward-auth response that a reverse proxy gets for this browser. */
  async verify(visitor, slug, page = visitor.page) {
    const answer = await page.goto(this.url(`/auth/verify?biller=${slug}`));
    return { status: answer.status(), ...(await answer.allHeaders()) };
  }

  #writeSettings(listen, server, limits) {
    const key = this.file("signpost.key", `${randomBytes(32).toString("base64")}\n`);
    const sections = {
      server: {
        listen: `127.0.0.1:${listen}`,
        public_url: this.gateway,
        management_listen: "127.0.0.1:0",
        drain_seconds: 1,
        ...server,
      },
      database: { url: `sqlite:${join(this.folder, "signpost.db")}` },
      secrets: { keys: [{ file: key }] },
      legacy: { login_url: `${this.portal.origin}/legacy` },
      portal: { handoff_url: `${this.portal.origin}/handoff` },
      limits: { exempt_loopback: true, ...limits },
      oidc: { allow_loopback_issuers: true },
    };
    const text = Object.entries(sections).map(([name, section]) => `[${name}]\n${tomlLines(section)}`);
    this.file("signpost.toml", text.join("\n"));
  }

  async #serve() {
    const log = logFile();
    const child = spawn(BINARY, ["serve", "--config", join(this.folder, "signpost.toml")], {
      stdio: ["ignore", "ignore", openSync(log, "w")],
    });
    this.onStop(() => stopProcess(child));
    await waitUntil(
      async () => {
        assert.equal(child.exitCode, null, `the gateway stopProcess, see ${log}`);
        return (await this.publishedKeyIds().catch(() => [])).length > 0;
      },
      "the gateway serves",
      START_TIMEOUT,
    );
  }
}

/** Stops a program that a test started. */
export async function stopProcess(child) {
  // Without an id it never began.
  if (!child.pid || child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((done) => child.once("exit", done));
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), 10_000);
  await exit;
  clearTimeout(late);
}

/** The header and the claims of the ID token that an address of the issuer's sign-out carries. */
export function parseIdTokenHint(address) {
  const hint = new URL(address).searchParams.get("id_token_hint");
  const [header, claims] = hint.split(".").map((part) => Buffer.from(part, "base64url").toString());
  return { header: JSON.parse(header), claims: JSON.parse(claims) };
}

/** Waits until something holds. */
export async function waitUntil(holds, what, timeout = WAIT_TIMEOUT) {
  const end = Date.now() + timeout;
  while (!(await holds())) {
    assert.ok(Date.now() < end, `waited in vain: ${what}`);
    await sleep(20);
  }
}

/** From the biller's own address through the sign-in page of its issuer (issuers.mjs) to the portal. */
export async function signInAt(visitor, slug, { username = "one-moved", password, page = visitor.page } = {}) {
  await page.goto(visitor.world.url(`/b/${slug}`));
  await expectHeading(page, `Sign in to ${slug}`);
  await signIn(page, username, password);
  return expectPortal(visitor, slug, { username, page });
}

/** The portal, which shows who came; answers what it learnt. */
export async function expectPortal(visitor, slug, { username = "one-moved", page = visitor.page } = {}) {
  await expectHeading(page, `Portal of ${slug}`);
  assert.equal(await page.locator("#username").innerText(), username);
  return JSON.parse(await page.locator("#handoff").innerText());
}

/** The legacy portal and the billers': what they redeem, they show. */
async function startPortal(world) {
  const portal = { key: "" };
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, world.gateway);
    const kind = { "/legacy": "legacy", "/handoff": "portal" }[url.pathname];
    if (!kind) return response.writeHead(404).end();
    const answer = await fetch(world.url("/api/v1/handoffs/redeem"), {
      method: "POST",
      headers: { authorization: `Bearer ${portal.key}`, "content-type": "application/json" },
      body: JSON.stringify({ token: url.searchParams.get("token") }),
    }).catch((error) => ({ ok: false, status: String(error) }));
    const handoff = answer.ok ? await answer.json() : {};
    const title = handoff.kind === kind ? titleOf(handoff) : `Not redeemed: ${answer.status}`;
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
    response.end(portalPage(title, handoff));
  });
  await new Promise((done) => server.listen(0, "127.0.0.1", done));
  portal.origin = `http://127.0.0.1:${server.address().port}`;
  portal.close = () =>
    new Promise((done) => {
      server.close(done);
      server.closeAllConnections();
    });
  return portal;
}

function titleOf({ kind, biller }) {
  return kind === "portal" ? `Portal of ${biller}` : "Legacy portal";
}

function portalPage(title, handoff) {
  const safe = (text) => text.replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`);
  return `<!DOCTYPE html>
<html lang="en">
  <head><meta charset="utf-8"><link rel="icon" href="data:,"><title>${safe(title)}</title></head>
  <body>
    <h1>${safe(title)}</h1>
    <p id="username">${safe(handoff.username ?? "")}</p>
    <pre id="handoff">${safe(JSON.stringify(handoff))}</pre>
  </body>
</html>`;
}

function billerToml({ slug, name = slug, oidc, ...rest }) {
  const biller = tomlLines({ slug, name, state: "active", ...rest });
  return `[[billers]]\n${biller}[billers.oidc]\n${tomlLines(oidc)}`;
}

function tomlLines(table) {
  const lines = Object.entries(table).filter(([, value]) => value !== undefined);
  return lines.map(([key, value]) => `${key} = ${tomlValue(value)}\n`).join("");
}

function tomlValue(value) {
  if (Array.isArray(value)) return `[${value.map(tomlValue).join(", ")}]`;
  if (typeof value !== "object") return JSON.stringify(value);
  const pairs = Object.entries(value).map(([key, inner]) => `${key} = ${tomlValue(inner)}`);
  return `{ ${pairs.join(", ")} }`;
}
