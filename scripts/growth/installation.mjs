// One installation: its settings, database and users, and its `signpost serve`.

import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import http from "node:http";
import { join } from "node:path";

import { cookies, send } from "../cluster/http.mjs";
import { pause, run, start, stop } from "../cluster/processes.mjs";
import { freePorts } from "./databases.mjs";
import { writeUsers } from "./world.mjs";

/** As good as no limit. */
const UNLIMITED = 1_000_000;
const READY_MS = 30_000;

export class Installation {
  /** `demo` has the stand-ins. The public URLs are the demo's, because the stand-ins know them. */
  static async create(name, { binary, folder, database, demo, world, log = "warn" }) {
    const here = new Installation();
    Object.assign(here, { name, binary, database, demo, world, folder: join(folder, `${database.title}-${name}`) });
    mkdirSync(here.folder);
    here.at = await database.create(name, here.folder);
    const port = await freePorts(3);
    here.ports = { gateway: port, management: port + 1, console: port + 2 };
    here.gateway = `http://127.0.0.1:${here.ports.gateway}`;
    here.console = `http://127.0.0.1:${here.ports.console}`;
    here.hosts = { gateway: new URL(demo.gateway).host, console: new URL(demo.console).host };
    here.settings = join(here.folder, "signpost.toml");
    here.log = join(here.folder, "log");
    writeFileSync(join(here.folder, "signpost.key"), `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
    writeFileSync(here.settings, here.#settings(log), { mode: 0o600 });
    await here.signpost("migrate");
    const billers = join(here.folder, "billers.json");
    writeFileSync(billers, world.billersFile(`${demo.secureauth}/demo/riverside-water`));
    await here.signpost("import", "billers", billers);
    return here;
  }

  #settings(log) {
    return `
      [server]
      listen = "127.0.0.1:${this.ports.gateway}"
      public_url = "${this.demo.gateway}"
      management_listen = "127.0.0.1:${this.ports.management}"
      drain_seconds = 1
      [database]
      url = "${this.at.url}"
      [secrets]
      keys = [{ file = "${join(this.folder, "signpost.key")}" }]
      [legacy]
      login_url = "${this.demo.legacy}/login"
      [portal]
      handoff_url = "${this.demo.portal}/handoff"
      [oidc]
      allow_loopback_issuers = true
      [limits]
      exempt_loopback = true
      simulations_per_minute = ${UNLIMITED}
      simulations_per_day = ${UNLIMITED}
      decision_lookups_per_minute = ${UNLIMITED}
      [console]
      listen = "127.0.0.1:${this.ports.console}"
      public_url = "${this.demo.console}"
      issuer = "${this.demo.secureauth}/demo/staff"
      client_id = "signpost-staff"
      client_secret = "demo-client-secret-of-staff"
      lookups_per_minute = ${UNLIMITED}
      lookups_per_day = ${UNLIMITED}
      [log]
      format = "json"
      filter = "${log}"
    `;
  }

  /** Runs a command of the operator. */
  signpost(...args) {
    return run(this.binary, [...args, "--config", this.settings], { maxBuffer: 2 ** 26 });
  }

  query(sql) {
    return this.database.query(this.at, sql);
  }

  size() {
    return this.database.size(this.at);
  }

  /** Imports all users. Returns the speed and peak memory of the larger file. */
  async importUsers() {
    const empty = await this.size();
    const found = [];
    for (const { slug, from, to } of this.world.files) {
      const file = await writeUsers(join(this.folder, "users.csv"), from, to);
      const { said, seconds, peak } = await this.#import(file, slug);
      if (!said.includes(`${to - from} user(s) created, 0 updated`)) throw new Error(`${slug}: ${said}`);
      found.push({ rows: to - from, perSecond: (to - from) / seconds, peak });
      rmSync(file);
    }
    const bytes = (await this.size()) - empty;
    await this.database.spread(this.at, this.world.files.map(({ slug }) => slug));
    await this.database.settle(this.at);
    return { ...found[0], bytes };
  }

  /** Imports one user, whom the stand-in knows. */
  async importUser(username, slug) {
    const file = join(this.folder, "user.csv");
    writeFileSync(file, `username,email\n${username},${username}@mail.example\n`);
    await this.#import(file, slug);
  }

  async #import(file, slug) {
    const begin = performance.now();
    const log = join(this.folder, "import.log");
    rmSync(log, { force: true });
    const child = start(this.binary, ["import", "users", file, "--biller", slug, "--config", this.settings], log);
    let peak = 0;
    const watch = setInterval(() => (peak = Math.max(peak, peakMemory(child.pid))), 10);
    const { code } = await child.ended;
    clearInterval(watch);
    const said = readFileSync(log, "utf8");
    if (code !== 0) throw new Error(`import users: ${said}`);
    return { said, peak, seconds: (performance.now() - begin) / 1000 };
  }

  /** Starts `signpost serve`. Returns the milliseconds until it is ready. */
  async serve() {
    const begin = performance.now();
    this.process = start(this.binary, ["serve", "--config", this.settings], this.log);
    while (!(await this.#isReady())) {
      if (performance.now() - begin > READY_MS || this.process.exitCode !== null) {
        throw new Error(`${this.name} is not ready:\n${readFileSync(this.log, "utf8")}`);
      }
      await pause(1);
    }
    return performance.now() - begin;
  }

  /** A connection of its own each time: a refused one is not kept. */
  #isReady() {
    return new Promise((done) => {
      const request = http.get({ port: this.ports.management, host: "127.0.0.1", path: "/readyz", agent: false }, (response) => {
        response.resume().on("end", () => done(response.statusCode === 200));
      });
      request.on("error", () => done(false));
    });
  }

  async processes() {
    return [this.process.pid, ...(await this.database.processes(this.at))];
  }

  async stop() {
    await stop(this.process);
  }

  async remove() {
    await this.stop();
    await this.database.drop(this.at);
    rmSync(this.folder, { recursive: true, force: true });
  }

  async createKey(...options) {
    return this.signpost("keys", "create", ...options);
  }

  /** A request of a browser or, with a key, of a system. */
  send(path, { key, headers, ...options } = {}) {
    const authorization = key && { authorization: `Bearer ${key}` };
    return send(this.gateway + path, { ...options, headers: { host: this.hosts.gateway, ...authorization, ...headers } });
  }

  sendConsole(path, { headers, ...options } = {}) {
    return send(this.console + path, { ...options, headers: { host: this.hosts.console, ...headers } });
  }

  /** Signs an auditor in. Returns the cookie of the session. */
  async signInStaff() {
    const started = await this.sendConsole("/sign-in");
    if (started.status !== 303) throw new Error(`/sign-in: ${started.status}: ${started.body}`);
    const authorize = new URL(started.headers.location);
    const form = { ...Object.fromEntries(authorize.searchParams), username: "auditor", password: "demo-password" };
    const agreed = await send(authorize.origin + authorize.pathname, { method: "POST", form });
    const back = new URL(agreed.headers.location);
    const finished = await this.sendConsole(back.pathname + back.search, { headers: { cookie: cookies(started) } });
    if (finished.status !== 200) throw new Error(`/callback: ${finished.status}: ${finished.body}`);
    return cookies(finished);
  }
}

/** Peak resident memory of a process in MiB; 0 after it ended. */
export function peakMemory(pid) {
  try {
    return Number(/VmHWM:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
  } catch {
    return 0;
  }
}
