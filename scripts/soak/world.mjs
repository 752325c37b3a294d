// One `signpost serve` with its database; SecureAuth, portals and mail server are the stand-ins of a demo in another process.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { spawn } from "node:child_process";

import { cookies, send } from "../cluster/http.mjs";
import { isRunning, run, start, stop, until } from "../cluster/processes.mjs";
import { DATABASES } from "./databases.mjs";
import { LogMeter } from "./log.mjs";

export const ACTIVE = "soak-water";
export const LEGACY = "soak-gas";
export const USERS = Array.from({ length: 200 }, (_, at) => `customer${at}`);
export const LEGACY_USERS = Array.from({ length: 2000 }, (_, at) => `legacy${at}`);
export const PASSWORD = "demo-password";
/** Of this password, with the least cost, so that the stand-in leaves the processor to Signpost. */
const PASSWORD_HASH = "$2y$04$KjMifsQeUfI1Ab6NAuxnu.5XC/znFD9AyIaA2Z129uL5kNEIdFB.G";

export class World {
  /** `form` is a key of DATABASES. */
  constructor(binary, form) {
    Object.assign(this, { binary, form });
    this.folder = mkdtempSync(join(tmpdir(), "signpost-soak-"));
    chmodSync(this.folder, 0o755);
    // Below the ports that the system gives to outgoing connections.
    const base = 24_000 + 20 * Math.floor(Math.random() * 300);
    this.ports = { demo: base, gateway: base + 10, management: base + 11, console: base + 12, postgres: base + 13 };
    this.gateway = `http://localhost:${this.ports.gateway}`;
    this.management = `http://127.0.0.1:${this.ports.management}`;
    this.settings = join(this.folder, "signpost.toml");
    this.log = new LogMeter();
  }

  async start() {
    await this.#startStandIns();
    this.database = new DATABASES[this.form](this.folder, this.ports.postgres);
    await this.database.start();
    writeFileSync(join(this.folder, "signpost.key"), `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
    writeFileSync(this.settings, this.#settings(), { mode: 0o600 });
    await this.signpost("migrate");
    await this.#import();
    const key = (name, scopes, ...options) => {
      return this.signpost("keys", "create", "--name", name, ...scopes.flatMap((scope) => ["--scope", scope]), ...options);
    };
    const scopes = ["simulate", "decisions:read", "billers:read", "identity:read", "identity:write", "audit:read"];
    this.keys = {
      api: await key("api", scopes),
      legacy: await key("legacy", ["handoff:redeem"], "--audience", "legacy"),
      portal: await key("portal", ["handoff:redeem"], "--audience", "portal"),
    };
  }

  async #startStandIns() {
    const data = join(this.folder, "stand-ins");
    mkdirSync(data);
    const args = ["demo", "--json", "--port-base", String(this.ports.demo), "--data", data];
    this.demo = spawn(this.binary, args, { stdio: ["ignore", "pipe", openSync(join(this.folder, "demo.log"), "w")] });
    this.demo.ended = new Promise((done) => this.demo.once("exit", done));
    const line = await new Promise((done, fail) => {
      createInterface({ input: this.demo.stdout }).once("line", done);
      this.demo.once("exit", (code) => fail(new Error(`the stand-ins ended with ${code}`)));
    });
    this.standins = JSON.parse(line);
  }

  /** Short lifetimes and retentions, and limits as for customers in many places. The console answers at the demo's address, which
   *  its identity provider knows. */
  #settings() {
    const { ports, standins } = this;
    const demo = readFileSync(standins.config, "utf8");
    const section = (name) => new RegExp(`^\\[${name}\\]\\n(?:[^\\[\\n].*\\n)*`, "m").exec(demo)[0];
    const replaced = (text, key, value) => text.replace(new RegExp(`^${key} = .*$`, "m"), `${key} = ${value}`);
    return `
      [server]
      listen = "127.0.0.1:${ports.gateway}"
      public_url = "${this.gateway}"
      management_listen = "127.0.0.1:${ports.management}"
      trusted_proxies = ["127.0.0.1"]
      [database]
      url = "${this.database.url}"
      [secrets]
      keys = [{ file = "${join(this.folder, "signpost.key")}" }]
      [legacy]
      login_url = "${standins.legacy}/login"
      [portal]
      handoff_url = "${standins.portal}/handoff"
      [sessions]
      idle_minutes = 5
      absolute_hours = 1
      [limits]
      simulations_per_minute = 1_000_000
      simulations_per_day = 1_000_000
      decision_lookups_per_minute = 1_000_000
      [audit]
      decision_retention_days = 1
      event_retention_days = 1
      [oidc]
      allow_loopback_issuers = true
      ${section("secureauth")}
      ${replaced(section("mail"), "per_address_per_hour", "1_000_000")}
      ${replaced(section("console"), "listen", `"127.0.0.1:${ports.console}"`)}
      lookups_per_minute = 1_000_000
      lookups_per_day = 1_000_000
      [log]
      format = "json"
    `;
  }

  /** A biller whose users sign in at SecureAuth, and one of the legacy login. */
  async #import() {
    const billers = join(this.folder, "billers.toml");
    const biller = (slug, name) => `[[billers]]\nslug = "${slug}"\nname = "${name}"\nstate = "legacy"\n`;
    writeFileSync(billers, biller(ACTIVE, "Soak Water") + biller(LEGACY, "Soak Gas"));
    await this.signpost("import", "billers", billers);
    for (const [slug, names, hash] of [[ACTIVE, USERS, PASSWORD_HASH], [LEGACY, LEGACY_USERS, ""]]) {
      const file = join(this.folder, `${slug}.csv`);
      const rows = names.map((name) => `${name},${name}@mail.example,Demo,${name},active,${hash}`);
      writeFileSync(file, `username,email,first_name,last_name,status,password_hash\n${rows.join("\n")}\n`);
      await this.signpost("import", "users", file, "--biller", slug, "--legacy-accounts", String(slug === LEGACY));
    }
    // `serve` runs the job.
    await this.serve();
    await this.signpost("enable", ACTIVE, "--watch");
    await this.end();
  }

  /** Runs a command of the operator. */
  signpost(...args) {
    return run(this.binary, [...args, "--config", this.settings]);
  }

  async serve() {
    this.process = spawn(this.binary, ["serve", "--config", this.settings], { stdio: ["ignore", "ignore", "pipe"] });
    this.process.ended = new Promise((done) => this.process.once("exit", (code, signal) => done({ code, signal })));
    this.log.read(this.process.stderr);
    const isReady = async () => (await send(`${this.management}/readyz`)).status === 200;
    await until("the gateway is ready", () => {
      if (!isRunning(this.process)) throw new Error(`the gateway ended: ${this.log.last}`);
      return isReady();
    });
  }

  async end() {
    await stop(this.process);
  }

  /** Signs a member of staff in. Returns the cookie. */
  async signInStaff() {
    const host = new URL(this.standins.console).host;
    const ask = (path, headers = {}) => send(`http://127.0.0.1:${this.ports.console}${path}`, { headers: { host, ...headers } });
    const started = await ask("/sign-in");
    const authorize = new URL(started.headers.location);
    const form = { ...Object.fromEntries(authorize.searchParams), username: "operator", password: PASSWORD };
    const agreed = await send(authorize.origin + authorize.pathname, { method: "POST", form });
    const { pathname, search } = new URL(agreed.headers.location);
    const answer = await ask(pathname + search, { cookie: cookies(started) });
    assert.equal(answer.status, 200, answer.body);
    return cookies(answer);
  }

  async stop() {
    await stop(this.process);
    await stop(this.demo);
    await this.database?.stop();
    if (!process.env.KEEP) rmSync(this.folder, { recursive: true, force: true });
    else console.log(`kept ${this.folder}`);
  }
}
