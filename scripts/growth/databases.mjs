// SQLite and PostgreSQL: what the measurements need of them besides Signpost.

import { appendFileSync, chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import net from "node:net";
import { join } from "node:path";

import { Server } from "../cluster/postgres.mjs";
import { run } from "../cluster/processes.mjs";

/** Rows of the decision log that one statement inserts. */
const ROWS_PER_INSERT = 500_000;

/** One file per installation. */
class Sqlite {
  title = "SQLite";

  async start() {
    this.version = (await run("sqlite3", ["--version"])).split(" ")[0];
  }

  create(name, folder) {
    const path = join(folder, "signpost.db");
    return { url: `sqlite:${path}`, path };
  }

  query({ path }, sql) {
    return run("sqlite3", ["-readonly", "-cmd", ".timeout 5000", path, sql], { maxBuffer: 2 ** 28 });
  }

  size({ path }) {
    return ["", "-wal"].reduce((sum, end) => sum + (existsSync(path + end) ? statSync(path + end).size : 0), 0);
  }

  /** What was written without waiting for the disk must not slow the measurements. SQLite's plans need no statistics here. */
  async settle() {
    await run("sync", []);
  }

  processes() {
    return [];
  }

  async spread({ path }, slugs) {
    const script = spreadStatements(slugs, "NOT INDEXED").flatMap((sql) => [sql, "PRAGMA wal_checkpoint(TRUNCATE)"]);
    await run("sqlite3", [path, ["PRAGMA synchronous = OFF", "PRAGMA cache_size = -1000000", ...script].join(";\n")]);
  }

  /** Copies a row of the decision log: see `logColumns`. Nothing else has the database open. */
  async fillLog({ path }, count, from, spanMs) {
    const hex = (value) => `printf('%08X', ${value})`;
    for (let start = 0; start < count; start += ROWS_PER_INSERT) {
      const end = Math.min(count, start + ROWS_PER_INSERT);
      const series = `WITH RECURSIVE series(n) AS (SELECT ${start} UNION ALL SELECT n + 1 FROM series WHERE n + 1 < ${end})`;
      const script = [
        "PRAGMA synchronous = OFF",
        "PRAGMA cache_size = -2000000",
        `${series} ${insertLog(hex, count, from, spanMs)}`,
        "PRAGMA wal_checkpoint(TRUNCATE)",
      ];
      await run("sqlite3", [path, script.join(";\n")]);
    }
  }

  async drop({ path }) {
    for (const end of ["", "-wal", "-shm", "-writers"]) rmSync(path + end, { force: true });
  }

  async stop() {}
}

/** One database per installation, in a server of its own unless POSTGRES has the URL of one, without a database name. */
class Postgres {
  title = "PostgreSQL";

  constructor(folder) {
    this.folder = folder;
  }

  async start() {
    if (process.env.POSTGRES) {
      const { hostname, port, username } = new URL(process.env.POSTGRES);
      this.server = new Server("growth", this.folder, Number(port || 5432));
      this.base = `postgres://${username || "postgres"}@${hostname}:${port || 5432}`;
    } else {
      await this.#startServer();
    }
    this.version = (await this.server.query("SHOW server_version")).split(" ")[0];
  }

  async #startServer() {
    // The server runs as another user.
    chmodSync(this.folder, 0o755);
    const home = join(this.folder, "postgres");
    mkdirSync(home);
    if (process.getuid() === 0) await run("chown", ["postgres:", home]);
    const port = await freePorts();
    this.server = new Server("growth", home, port);
    this.isOwn = true;
    const options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];
    await this.server.run("initdb", `--pgdata=${this.server.data}`, ...options);
    const lines = [
      "listen_addresses = '127.0.0.1'",
      "unix_socket_directories = ''",
      `port = ${port}`,
      "shared_buffers = '1GB'",
      "max_wal_size = '4GB'",
    ];
    appendFileSync(join(this.server.data, "postgresql.conf"), `\n${lines.join("\n")}\n`);
    await this.server.control("start");
    this.base = `postgres://postgres@127.0.0.1:${port}`;
  }

  async create(name) {
    const database = `signpost_growth_${process.pid}_${name}`;
    await this.server.query(`CREATE DATABASE ${database}`);
    return { url: `${this.base}/${database}`, database };
  }

  query({ database }, sql) {
    return this.server.query(sql, database);
  }

  async size({ database }) {
    return Number(await this.server.query(`SELECT pg_database_size('${database}')`));
  }

  /** What the server does by itself within minutes. */
  async settle({ database }) {
    await this.server.query("VACUUM (ANALYZE)", database);
    await this.server.query("CHECKPOINT");
    await run("sync", []);
  }

  /** The server's processes that work for an installation. */
  async processes({ database }) {
    // Without autovacuum.
    const types = "'client backend', 'parallel worker'";
    const sql = `SELECT pid FROM pg_stat_activity WHERE datname = '${database}' AND backend_type IN (${types})`;
    const text = await this.server.query(sql);
    return text.split("\n").filter(Boolean).map(Number);
  }

  async spread({ database }, slugs) {
    await this.server.query(["SET synchronous_commit = off", ...spreadStatements(slugs, "")].join(";\n"), database);
  }

  async fillLog({ database }, count, from, spanMs) {
    const hex = (value) => `lpad(upper(to_hex(${value})), 8, '0')`;
    for (let start = 0; start < count; start += ROWS_PER_INSERT) {
      const end = Math.min(count, start + ROWS_PER_INSERT);
      const series = `WITH series AS (SELECT generate_series(${start}::bigint, ${end - 1}) AS n)`;
      await this.server.query(`SET synchronous_commit = off; ${series} ${insertLog(hex, count, from, spanMs)}`, database);
    }
  }

  async drop({ database }) {
    await this.server.query(`DROP DATABASE IF EXISTS ${database} WITH (FORCE)`);
  }

  async stop() {
    if (this.isOwn && existsSync(join(this.server.data, "postmaster.pid"))) await this.server.control("stop", "-m", "immediate");
  }
}

export const DATABASES = { sqlite: Sqlite, postgres: Postgres };

/** Odd, so that the products of different numbers differ in their last 32 bits. */
const [FIRST, SECOND] = [2_654_435_761n, 2_246_822_519n];
const MASK = 0xffff_ffffn;

/** The reference code of a row that `fillLog` makes. Like those that Signpost makes, they are in random order. */
export function simulatedCode(row) {
  const hex = (factor) => ((BigInt(row) * factor) & MASK).toString(16).toUpperCase().padStart(8, "0");
  return (hex(FIRST) + hex(SECOND)).match(/.{4}/g).join("-");
}

/**
 * Moves half of the memberships of each of these billers to all others in the same state. An import is the work of one biller, and
 * thousands of them take long. Usernames end with digits in random order, which select the biller. The queue of changes is emptied, as
 * if SecureAuth had them.
 */
function spreadStatements(slugs, scan) {
  const digits = "CAST(substr(membership.username_key, 8, 5) AS BIGINT)";
  const others = slugs.map((slug) => `'${slug}'`).join(", ");
  const queued = "DELETE FROM user_change";
  const moved = slugs.flatMap((slug) => {
    const biller = `(SELECT id FROM biller WHERE slug = '${slug}')`;
    const state = `(SELECT state FROM biller WHERE slug = '${slug}')`;
    const target = `
      SELECT row_number() OVER (ORDER BY slug) - 1 AS number, id FROM biller WHERE state = ${state} AND slug NOT IN (${others})`;
    const parts = [1, 3, 5, 7, 9].map((digit) => `
      UPDATE membership ${scan} SET biller_id = target.id FROM target
      WHERE membership.biller_id = ${biller} AND ${digits} % 10 = ${digit}
        AND target.number = ${digits} / 2 % (SELECT count(*) FROM target)`);
    const prepare = ["DROP TABLE IF EXISTS target", `CREATE TEMP TABLE target AS ${target}`];
    return [...prepare, "CREATE INDEX target_number ON target (number)", ...parts];
  });
  return [queued, ...moved];
}

/** Copies the newest decision of a username under other codes, evenly over a time that begins at `from`. */
function insertLog(hex, count, from, spanMs) {
  const [first, second] = [FIRST, SECOND].map((factor) => hex(`(n * ${factor}) & ${MASK}`));
  const quarters = [[first, 1], [first, 5], [second, 1], [second, 5]].map(([text, at]) => `substr(${text}, ${at}, 4)`);
  const code = quarters.join(" || '-' || ");
  const at = `${Math.round(from)} + (n * ${Math.round(spanMs)}) / ${count}`;
  const columns = "kind, biller, username_hash, username_mask, response, details";
  const model = `SELECT ${columns} FROM decision_log WHERE username_hash IS NOT NULL ORDER BY at DESC LIMIT 1`;
  return `INSERT INTO decision_log (code, at, ${columns}) SELECT ${code}, ${at}, ${columns} FROM series, (${model}) AS model`;
}

/** Below the ports that the system gives to clients: they stay free while a process restarts. */
let lastPort = 26_000 + 10 * Math.floor(Math.random() * 400);

/** The first of some neighbouring ports that nothing listens on. */
export async function freePorts(count = 1) {
  for (;;) {
    const ports = Array.from({ length: count }, () => ++lastPort);
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return ports[0];
  }
}

function isFree(port) {
  const server = net.createServer();
  return new Promise((done) => {
    server.once("error", () => done(false));
    server.listen(port, "127.0.0.1", () => server.close(() => done(true)));
  });
}

/** CPU time of processes in nanoseconds, by thread. */
export function cpuTimes(pids) {
  const times = new Map();
  for (const pid of pids) {
    let threads = [];
    try {
      threads = readdirSync(`/proc/${pid}/task`);
    } catch {
      continue;
    }
    for (const thread of threads) {
      try {
        times.set(thread, Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]));
      } catch {
        // It has ended.
      }
    }
  }
  return times;
}

/** CPU milliseconds between two calls of `cpuTimes`. */
export function cpuBetween(before, after) {
  let sum = 0;
  for (const [thread, time] of after) sum += time - (before.get(thread) ?? 0);
  return sum / 1e6;
}
