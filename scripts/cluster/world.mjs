// Three instances behind HAProxy, PostgreSQL with a standby, and the stand-ins of the outside world.
//
// customers -> HAProxy -> three instances -> proxy (slow, cut) -> HAProxy -> PostgreSQL primary | standby
//                                         -> proxy (slow, closed) -> SecureAuth
//
// `signpost demo` runs the stand-ins. Its network namespace keeps the port of its own gateway free for HAProxy, so that the
// addresses that the stand-ins know lead to the instances.

import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { spawn } from "node:child_process";

import { send } from "./http.mjs";
import { Proxy } from "./network.mjs";
import { Postgres } from "./postgres.mjs";
import { isRunning, pause, run, start, stop, until } from "./processes.mjs";

export const BILLER = "riverside-water";
export const USERS = ["one-moved", "moved-and-legacy", "two-moved"];
const PASSWORD = "demo-password";
/** Like systemd's RestartSec. */
const RESTART_MS = 1000;
const HAPROXY = ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy"].find(existsSync) ?? "haproxy";
const FAKETIME = ["x86_64", "aarch64"].map((machine) => `/usr/lib/${machine}-linux-gnu/faketime/libfaketimeMT.so.1`);

/** The port of the demo's gateway; the next ones are the stand-ins, PostgreSQL and the instances. */
const BASE = 33_000 + 20 * Math.floor(Math.random() * 300);
const PORTS = {
  gateway: BASE,
  secureauth: BASE + 1,
  primary: BASE + 10,
  standby: BASE + 11,
  database: BASE + 12,
  slowDatabase: BASE + 13,
  instance: BASE + 14,
  management: BASE + 15,
};

/** SecureAuth and the portals. */
export class StandIns {
  static async start(binary, folder) {
    const standins = new StandIns();
    standins.socket = join(folder, "secureauth.socket");
    const data = join(folder, "stand-ins");
    mkdirSync(data);
    const command = `ip link set lo up && exec "$@"`;
    const demo = [binary, "demo", "--json", "--port-base", String(BASE), "--data", data];
    standins.demo = spawn("unshare", ["--net", "sh", "-c", command, "sh", ...demo], { stdio: ["ignore", "pipe", "inherit"] });
    standins.demo.ended = new Promise((done) => standins.demo.once("exit", done));
    await new Promise((done, fail) => {
      createInterface({ input: standins.demo.stdout }).once("line", done);
      standins.demo.once("exit", (code) => fail(new Error(`the stand-ins ended with ${code}`)));
    });
    // A Unix socket is the same in all network namespaces.
    const forward = `
      require("node:net").createServer((client) => {
        const server = require("node:net").connect(${PORTS.secureauth}, "127.0.0.1");
        for (const [from, to] of [[client, server], [server, client]]) from.pipe(to).on("error", () => from.destroy());
      }).listen(${JSON.stringify(standins.socket)});`;
    const namespace = `--net=/proc/${standins.demo.pid}/ns/net`;
    standins.forwarder = start("nsenter", [namespace, process.execPath, "--eval", forward], join(folder, "forwarder.log"));
    await until("the stand-ins answer", () => existsSync(standins.socket));
    standins.secureauth = new Proxy(PORTS.secureauth, { path: standins.socket });
    await standins.secureauth.listen();
    return standins;
  }

  /** The customer's step at SecureAuth: username and password. */
  signIn(authorize, username) {
    const form = { ...Object.fromEntries(authorize.searchParams), username, password: PASSWORD };
    return send(authorize.origin + authorize.pathname, { method: "POST", form, socketPath: this.socket });
  }

  async stop() {
    await this.secureauth?.close();
    await stop(this.forwarder);
    await stop(this.demo);
  }
}

/** One `signpost serve`, which is started again when it ends, as a service manager does. */
class Instance {
  constructor(cluster, number) {
    this.cluster = cluster;
    this.name = `signpost-${number}`;
    this.address = `127.0.0.1${number}`;
    this.url = `http://${this.address}:${PORTS.instance}`;
    this.management = `http://${this.address}:${PORTS.management}`;
    this.settings = join(cluster.folder, `${this.name}.toml`);
    this.log = join(cluster.folder, `${this.name}.log`);
    this.env = {};
    this.binary = cluster.binary;
    writeFileSync(this.settings, cluster.settingsOf(this));
  }

  start() {
    this.isWanted = true;
    const env = { ...process.env, ...this.env };
    this.process = start(this.binary, ["serve", "--config", this.settings], this.log, { env });
    this.process.ended.then(async () => {
      await pause(RESTART_MS);
      if (this.isWanted && !isRunning(this.process)) this.start();
    });
  }

  isReady() {
    return send(`${this.management}/readyz`, { timeout: 2500 }).then(({ status }) => status === 200, () => false);
  }

  kill(signal) {
    this.process.kill(signal);
  }

  /** SIGTERM; the service manager starts it again. Resolves when it is ready. */
  async restart() {
    const before = this.process;
    this.kill("SIGTERM");
    await before.ended;
    await until(`${this.name} is ready again`, () => this.process !== before && this.isReady());
  }

  async stop() {
    this.isWanted = false;
    await stop(this.process);
  }
}

/** A small file system in memory. */
class Disk {
  static async mount(folder) {
    mkdirSync(folder);
    await run("mount", ["-t", "tmpfs", "-o", "size=24m", "tmpfs", folder]);
    return Object.assign(new Disk(), { folder, filler: join(folder, "filler") });
  }

  /** Leaves no byte free. */
  async fill() {
    await run("dd", ["if=/dev/zero", `of=${this.filler}`, "bs=4k"]).catch(() => "no space left, as intended");
  }

  free() {
    rmSync(this.filler);
  }

  remount(option) {
    return run("mount", ["-o", `remount,${option}`, this.folder]);
  }

  unmount() {
    return run("umount", [this.folder]);
  }
}

export class Cluster {
  /** With `sqlite`, that many instances share one SQLite file on a small disk of its own instead. `upgrade` has the programs of two
   *  releases. */
  constructor(binary, root, standins, { sqlite } = {}, upgrade = undefined) {
    Object.assign(this, { binary: upgrade?.previous ?? binary, root, standins, sqlite, upgrade });
    this.folder = mkdtempSync(join(tmpdir(), "signpost-cluster-"));
    chmodSync(this.folder, 0o755);
    this.gateway = `http://localhost:${PORTS.gateway}`;
    this.secureauth = `http://127.0.0.1:${PORTS.secureauth}`;
    this.portal = `http://127.0.0.1:${BASE + 3}`;
    this.legacy = `http://127.0.0.1:${BASE + 2}`;
  }

  /** `prepare` may change instances before they start. */
  async start(prepare = () => {}) {
    writeFileSync(join(this.folder, "signpost.key"), `${randomBytes(32).toString("base64")}\n`, { mode: 0o600 });
    this.startHaproxy();
    this.instances = Array.from({ length: this.sqlite ?? 3 }, (_, at) => new Instance(this, at + 1));
    if (this.sqlite) {
      this.disk = await Disk.mount(join(this.folder, "disk"));
    } else {
      this.postgres = new Postgres(this.folder, [PORTS.primary, PORTS.standby]);
      await this.postgres.start();
      this.database = new Proxy(PORTS.slowDatabase, { port: PORTS.database, host: "127.0.0.1" });
      await this.database.listen();
      await until("HAProxy reaches PostgreSQL", () => this.haproxyServers("postgres").then((up) => up === 1));
    }
    await this.signpost("migrate");
    await this.import();
    prepare(this);
    for (const instance of this.instances) instance.start();
    await until("the instances are ready", async () => (await this.unhealthy()).length === 0);
    const scopes = ["billers:read", "billers:write", "ciam:write", "identity:read", "identity:write", "keys:write"];
    this.apiKey = await this.createKey("all", scopes);
    this.portalKey = await this.createKey("portal", ["handoff:redeem"], "--audience", "portal");
  }

  settingsOf(instance) {
    const sqlite = `sqlite:${join(this.folder, "disk/signpost.db")}`;
    const postgres = `postgres://signpost@127.0.0.1:${PORTS.slowDatabase}/signpost`;
    return `
      [server]
      listen = "${instance.address}:${PORTS.instance}"
      public_url = "${this.gateway}"
      management_listen = "${instance.address}:${PORTS.management}"
      trusted_proxies = ["127.0.0.1"]
      # HAProxy notices after two checks, one a second.
      shutdown_delay_seconds = 3
      drain_seconds = 5
      [database]
      url = "${this.sqlite ? sqlite : postgres}"
      connections = 30
      [secrets]
      keys = [{ file = "${join(this.folder, "signpost.key")}" }]
      [legacy]
      login_url = "${this.legacy}/login"
      [portal]
      handoff_url = "${this.portal}/handoff"
      [return_to]
      paths = ["/bills"]
      [oidc]
      allow_loopback_issuers = true
      timeout_seconds = 3
      [help]
      company = "Example Pay"
      phone = "+1 555 010 0100"
      [log]
      format = "json"
    `;
  }

  /** The files of contrib/haproxy with the addresses of this machine. */
  startHaproxy() {
    const socket = `global\n    stats socket ${join(this.folder, "haproxy.socket")} mode 600 level admin\n`;
    const texts = ["haproxy.cfg", "postgres.cfg"].map((name) => readFileSync(join(this.root, "contrib/haproxy", name), "utf8"));
    const addresses = [
      [/bind :8080$/m, `bind 127.0.0.1:${PORTS.gateway}`],
      [/signpost-(\d):8080$/gm, `127.0.0.1$1:${PORTS.instance}`],
      [/check port 8086 /g, `check port ${PORTS.management} `],
      [/\/etc\/haproxy\/try-again.html/g, join(this.root, "contrib/haproxy/try-again.html")],
      [/bind 127.0.0.1:5433$/m, `bind 127.0.0.1:${PORTS.database}`],
      ["postgres-1:5432", `127.0.0.1:${PORTS.primary}`],
      ["postgres-2:5432", `127.0.0.1:${PORTS.standby}`],
    ];
    const here = (text) => addresses.reduce((done, [from, to]) => done.replace(from, to), text);
    const config = join(this.folder, "haproxy.cfg");
    writeFileSync(config, [...texts.map(here), socket].join("\n"));
    this.haproxy = start(HAPROXY, ["-db", "-f", config], join(this.folder, "haproxy.log"));
  }

  async versions() {
    const haproxy = /version ([\d.]+)/.exec(await run(HAPROXY, ["-v"]))[1];
    if (!this.postgres) return { haproxy };
    return { haproxy, postgres: (await this.postgres.primary.query("SHOW server_version")).split(" ")[0] };
  }

  /** How many servers of a backend are up. */
  async haproxyServers(backend) {
    const csv = await new Promise((done, fail) => {
      const client = net.connect(join(this.folder, "haproxy.socket"));
      let text = "";
      client.on("data", (part) => (text += part)).on("end", () => done(text)).on("error", fail);
      client.end("show stat\n");
    });
    const rows = csv.split("\n").map((line) => line.split(","));
    return rows.filter(([name, server, ...rest]) => {
      return name === backend && !["FRONTEND", "BACKEND"].includes(server) && rest[15].startsWith("UP");
    }).length;
  }

  /** The billers and users of the stand-ins that the customers of this cluster need. */
  async import() {
    const billers = join(this.folder, "billers.toml");
    const text = `
      [[billers]]
      slug = "${BILLER}"
      name = "Riverside Water"
      state = "active"
      [billers.oidc]
      issuer = "${this.secureauth}/demo/${BILLER}"
      client_id = "signpost-${BILLER}"
      client_secret = "demo-client-secret-of-${BILLER}"
    `;
    writeFileSync(billers, text);
    await this.signpost("import", "billers", billers);
    const users = join(this.folder, "users.csv");
    const rows = USERS.map((name) => `${name},${name}@mail.example,Demo,${name},active`);
    writeFileSync(users, `username,email,first_name,last_name,status\n${rows.join("\n")}\n`);
    await this.signpost("import", "users", users, "--biller", BILLER);
  }

  /** Asks the database of PostgreSQL. */
  query(sql) {
    return this.postgres.primary.query(sql, "signpost");
  }

  /** Runs a command of the operator. */
  signpost(...args) {
    return run(this.binary, [...args, "--config", this.instances[0].settings]);
  }

  createKey(name, scopes, ...options) {
    return this.signpost("keys", "create", "--name", name, ...scopes.flatMap((scope) => ["--scope", scope]), ...options);
  }

  /** A call of the API; through HAProxy unless an instance is named. */
  call(method, path, { key = this.apiKey, json, base = this.gateway, timeout } = {}) {
    const headers = { authorization: `Bearer ${key}`, host: new URL(this.gateway).host };
    return send(base + path, { method, json, headers, timeout });
  }

  /** What is not as it should be, as names. */
  async unhealthy() {
    const ready = await Promise.all(this.instances.map((instance) => instance.isReady()));
    const names = this.instances.filter((_, at) => !ready[at]).map(({ name }) => name);
    const up = await this.haproxyServers("ready").catch(() => 0);
    return up === this.instances.length ? names : [...names, "haproxy"];
  }

  /** Lets an instance start with another time of day. */
  setClock(instance, seconds) {
    const library = FAKETIME.find(existsSync);
    if (!library) throw new Error("no libfaketime: install the package libfaketime");
    instance.env = { LD_PRELOAD: library, FAKETIME: `${seconds > 0 ? "+" : ""}${seconds}s`, FAKETIME_DONT_FAKE_MONOTONIC: "1" };
  }

  async stop() {
    await Promise.all((this.instances ?? []).map((instance) => instance.stop()));
    await stop(this.haproxy);
    await this.database?.close();
    await this.postgres?.stop();
    await this.disk?.unmount();
    if (!process.env.KEEP) rmSync(this.folder, { recursive: true, force: true });
    else console.log(`kept ${this.folder}`);
  }
}
