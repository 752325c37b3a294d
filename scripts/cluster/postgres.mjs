// A PostgreSQL primary with a synchronous streaming standby, on ports of 127.0.0.1.

import { appendFileSync, existsSync, mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { run, until } from "./processes.mjs";

const IS_ROOT = process.getuid() === 0;

/** Debian keeps the programs of the server out of the search path. */
function serverPrograms() {
  const base = "/usr/lib/postgresql";
  const versions = existsSync(base) ? readdirSync(base).sort((a, b) => Number(b) - Number(a)) : [];
  const folder = versions.map((version) => join(base, version, "bin")).find((bin) => existsSync(join(bin, "initdb")));
  if (!folder) throw new Error("no PostgreSQL server in /usr/lib/postgresql: install the package postgresql");
  return folder;
}

/** One server. It refuses to run as root. */
export class Server {
  constructor(name, folder, port) {
    Object.assign(this, { name, port, data: join(folder, name), log: join(folder, `${name}.log`), folder });
    this.programs = serverPrograms();
  }

  /** Creates the files of an empty server. */
  async initialize() {
    if (IS_ROOT) await run("chown", ["postgres:", this.folder]);
    const options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];
    await this.run("initdb", `--pgdata=${this.data}`, ...options);
  }

  /** Adds lines to its settings. */
  configure(more = []) {
    const lines = ["listen_addresses = '127.0.0.1'", "unix_socket_directories = ''", `port = ${this.port}`, ...more];
    appendFileSync(join(this.data, "postgresql.conf"), `\n${lines.join("\n")}\n`);
  }

  run(program, ...args) {
    const path = join(this.programs, program);
    const [command, ...all] = IS_ROOT ? ["runuser", "-u", "postgres", "--", path, ...args] : [path, ...args];
    return run(command, all, { cwd: this.folder });
  }

  control(action, ...args) {
    return this.run("pg_ctl", action, "--silent", "--wait", `--pgdata=${this.data}`, `--log=${this.log}`, ...args);
  }

  query(sql, database = "postgres") {
    const args = ["-h", "127.0.0.1", "-p", String(this.port), "-U", "postgres", "-d", database, "-X", "-A", "-t", "-c", sql];
    return run(join(this.programs, "psql"), args);
  }
}

const SETTINGS = [
  "max_connections = 120",
  // While the standby waits to reconnect after a restart of the primary, commits wait with it.
  "wal_retrieve_retry_interval = '200ms'",
];

export class Postgres {
  constructor(folder, [first, second]) {
    const home = join(folder, "postgres");
    mkdirSync(home);
    this.primary = new Server("primary", home, first);
    this.standby = new Server("standby", home, second);
  }

  /** The primary confirms a commit when the standby has it, so a failover loses nothing that was confirmed. */
  async start() {
    const { primary, standby } = this;
    await primary.initialize();
    primary.configure(SETTINGS);
    // The standby that it waits for does not exist yet.
    await primary.control("start");
    for (const role of ["signpost", "haproxy_check"]) await primary.query(`CREATE ROLE ${role} LOGIN`);
    await primary.query("CREATE DATABASE signpost OWNER signpost");
    const source = ["--host=127.0.0.1", `--port=${primary.port}`, "--username=postgres"];
    const copy = [`--pgdata=${standby.data}`, "--write-recovery-conf", "--checkpoint=fast", "--no-sync"];
    await standby.run("pg_basebackup", ...source, ...copy);
    standby.configure(SETTINGS);
    await standby.control("start");
    await primary.query("ALTER SYSTEM SET synchronous_standby_names = '*'");
    await primary.query("SELECT pg_reload_conf()");
    await until("the standby streams", async () => (await primary.query("SELECT sync_state FROM pg_stat_replication")) === "sync");
  }

  restart() {
    return this.primary.control("restart", "-m", "fast");
  }

  /** As if its machine failed. */
  crash() {
    return this.primary.control("stop", "-m", "immediate");
  }

  startAgain() {
    return this.primary.control("start");
  }

  async promote() {
    await this.standby.control("promote");
    [this.primary, this.standby] = [this.standby, this.primary];
  }

  async setReadOnly(isReadOnly) {
    const change = isReadOnly ? "SET default_transaction_read_only = on" : "RESET default_transaction_read_only";
    await this.primary.query(`ALTER SYSTEM ${change}`);
    await this.primary.query("SELECT pg_reload_conf()");
  }

  async stop() {
    for (const server of [this.standby, this.primary]) {
      if (!existsSync(join(server.data, "postmaster.pid"))) continue;
      await server.control("stop", "-m", "immediate");
    }
  }
}
