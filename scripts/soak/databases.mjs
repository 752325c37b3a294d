// The database of a soak: a file of SQLite, or a PostgreSQL server of its own.

import { mkdirSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";

import { Server } from "../cluster/postgres.mjs";
import { run } from "../cluster/processes.mjs";

/** Bytes of a file; 0 if there is none. */
function size(file) {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}

class Sqlite {
  constructor(folder) {
    this.file = join(folder, "signpost.db");
    this.url = `sqlite:${this.file}`;
  }

  async start() {
    this.version = (await run("sqlite3", ["--version"])).split(" ")[0];
  }

  query(sql) {
    return run("sqlite3", ["-cmd", ".timeout 20000", this.file, sql], { maxBuffer: 2 ** 26 });
  }

  async tables() {
    const names = await this.query("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '%sqlx%' ORDER BY name");
    return names.split("\n");
  }

  async columns(table) {
    return (await this.query(`SELECT name FROM pragma_table_info('${table}')`)).split("\n");
  }

  async sizes() {
    return { databaseBytes: size(this.file), walBytes: size(`${this.file}-wal`) };
  }

  async stop() {}
}

class Postgres {
  constructor(folder, port) {
    const home = join(folder, "postgres");
    mkdirSync(home);
    this.server = new Server("primary", home, port);
    this.url = `postgres://signpost@127.0.0.1:${port}/signpost`;
  }

  async start() {
    const { server } = this;
    await server.initialize();
    // A small WAL, so that a soak reaches its bound.
    server.configure(["max_wal_size = '128MB'", "min_wal_size = '64MB'"]);
    await server.control("start");
    await server.query("CREATE ROLE signpost LOGIN");
    await server.query("CREATE DATABASE signpost OWNER signpost");
    this.version = (await server.query("SHOW server_version")).split(" ")[0];
  }

  query(sql) {
    return this.server.query(sql, "signpost");
  }

  async tables() {
    const names = await this.query("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename NOT LIKE '%sqlx%' ORDER BY 1");
    return names.split("\n");
  }

  async columns(table) {
    const where = `table_schema = 'public' AND table_name = '${table}'`;
    return (await this.query(`SELECT column_name FROM information_schema.columns WHERE ${where}`)).split("\n");
  }

  async sizes() {
    const wal = join(this.server.data, "pg_wal");
    const walBytes = readdirSync(wal).reduce((sum, name) => sum + size(join(wal, name)), 0);
    return { databaseBytes: Number(await this.query("SELECT pg_database_size('signpost')")), walBytes };
  }

  stop() {
    return this.server.control("stop", "-m", "immediate");
  }
}

export const DATABASES = { sqlite: Sqlite, postgres: Postgres };

/** The number of rows of each table. */
export async function countRows(database, tables) {
  const counts = await database.query(tables.map((table) => `SELECT '${table}', count(*) FROM ${table}`).join(" UNION ALL "));
  return Object.fromEntries(counts.split("\n").map((line) => line.split("|")).map(([table, count]) => [table, Number(count)]));
}
