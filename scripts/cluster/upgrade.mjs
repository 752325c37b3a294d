// Two releases on one schema. Until there is another release, the newer one is this source tree with one more migration.

import { cpSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

import { isRunning, pause, run, start, stop, until } from "./processes.mjs";

const NOT_COPIED = [".git", "node_modules", "target"];
/** How long a start that must be refused may take, in milliseconds. */
const REFUSAL_TIMEOUT = 10_000;

/** The migration that the newer release adds: what an older program can ignore. */
function expandMigration(version) {
  return `-- The schema of a newer release, for the rehearsal of an upgrade: a new table and a new optional column.
CREATE TABLE upgrade_rehearsal (
    id       TEXT PRIMARY KEY,
    noted_at BIGINT NOT NULL
);

ALTER TABLE biller ADD COLUMN upgrade_rehearsal TEXT;

INSERT INTO schema_compatibility (version, oldest_program) VALUES (${version}, ${version - 1});
`;
}

/** The older program is PREVIOUS_BIN, or else the one under test. UPGRADE_PROFILE is the cargo profile of the newer one. */
export async function upgradeBinaries(binary, root) {
  return { previous: process.env.PREVIOUS_BIN ?? binary, next: await buildNext(root) };
}

/** Builds the newer release below target/upgrade, where it is kept. Returns its path. */
async function buildNext(root) {
  const folder = join(process.env.CARGO_TARGET_DIR ?? join(root, "target"), "upgrade");
  const source = join(folder, "source");
  rmSync(source, { recursive: true, force: true });
  mkdirSync(source, { recursive: true });
  const isCopied = (path) => !NOT_COPIED.includes(basename(path));
  for (const name of readdirSync(root).filter(isCopied)) {
    // Unchanged times spare cargo the work.
    cpSync(join(root, name), join(source, name), { recursive: true, preserveTimestamps: true, filter: isCopied });
  }
  addMigration(source);
  const profile = process.env.UPGRADE_PROFILE ?? "dev";
  const args = ["build", "--locked", "--profile", profile, "--bin", "signpost", "--target-dir", folder];
  await run("cargo", args, { cwd: source, maxBuffer: 2 ** 26 });
  return join(folder, profile === "dev" ? "debug" : profile, "signpost");
}

/** Adds the migration to a copy of the source tree. */
function addMigration(source) {
  const file = join(source, "src/db/migrations.rs");
  const text = readFileSync(file, "utf8");
  const [, latest] = /const LATEST: i64 = (\d+);/.exec(text) ?? [];
  const [entry, name] = /migration!\(LATEST, "([^"]+)"\)/.exec(text) ?? [];
  if (!latest || !entry) throw new Error(`${file}: expected \`const LATEST: i64\` and \`migration!(LATEST, "…")\``);
  const version = Number(latest) + 1;
  const added = `${String(version).padStart(4, "0")}_upgrade_rehearsal`;
  const changed = text
    .replace(`const LATEST: i64 = ${latest};`, `const LATEST: i64 = ${version};`)
    .replace(entry, `migration!(${latest}, "${name}"), migration!(LATEST, "${added}")`);
  const script = fileURLToPath(import.meta.url);
  const time = new Date(Math.max(statSync(file).mtimeMs, statSync(script).mtimeMs));
  for (const [path, content] of [[file, changed], [join(source, "migrations", `${added}.sql`), expandMigration(version)]]) {
    writeFileSync(path, content);
    utimesSync(path, time, time);
  }
}

/** Replaces the program of an instance and waits until HAProxy uses it again. */
async function replace(cluster, instance, binary) {
  instance.binary = binary;
  await instance.restart();
  await allReady(cluster);
}

async function allReady(cluster) {
  await until("HAProxy uses all instances", async () => (await cluster.unhealthy()).length === 0, 60);
}

/** The service manager starts the same program again. */
async function killAndWait(cluster, instance) {
  const before = instance.process;
  instance.kill("SIGKILL");
  await before.ended;
  await until(`${instance.name} is ready again`, () => instance.process !== before && instance.isReady());
  await allReady(cluster);
}

async function schemaVersion(cluster) {
  return Number(await cluster.query("SELECT max(version) FROM _sqlx_migrations WHERE success"));
}

/** How often an instance said at a start that the schema is a newer one that it can use. */
function warnings(instance) {
  return readFileSync(instance.log, "utf8").split("which marked it as compatible").length - 1;
}

/** One instance after the other, and back again. Between the steps older ones are killed, and start on the newer schema. */
export async function upgradeAndRollBack(cluster) {
  const { previous, next } = cluster.upgrade;
  const [first, second, third] = cluster.instances;
  const before = await schemaVersion(cluster);
  await replace(cluster, first, next);
  const after = await schemaVersion(cluster);
  await killAndWait(cluster, third);
  await replace(cluster, second, next);
  await killAndWait(cluster, third);
  await replace(cluster, third, next);
  const killed = warnings(third);
  for (const instance of cluster.instances) await replace(cluster, instance, previous);
  const rolledBack = cluster.instances.map(warnings).reduce((sum, count) => sum + count, 0) - killed;
  return { before, after, end: await schemaVersion(cluster), killed, rolledBack };
}

/** The newer release's migration is not marked as compatible: older instances run on, but do not start again. */
export async function upgradeIncompatibly(cluster) {
  const { next } = cluster.upgrade;
  const [first, second, third] = cluster.instances;
  await replace(cluster, first, next);
  // As after a migration without a row.
  await cluster.query("DELETE FROM schema_compatibility WHERE version = (SELECT max(version) FROM schema_compatibility)");
  await pause(10_000);
  const running = await Promise.all([second, third].map((instance) => instance.isReady()));
  await second.stop();
  const log = join(dirname(second.log), "refused.log");
  const began = performance.now();
  const refused = start(cluster.binary, ["serve", "--config", second.settings], log);
  const ended = await Promise.race([refused.ended, pause(REFUSAL_TIMEOUT)]);
  const seconds = (performance.now() - began) / 1000;
  const isServing = isRunning(refused);
  await stop(refused);
  const message = readFileSync(log, "utf8").trim().split("\n").at(-1);
  second.binary = next;
  second.start();
  await allReady(cluster);
  await replace(cluster, third, next);
  return { running: running.filter(Boolean).length, isServing, exit: ended?.code ?? null, seconds, message };
}
