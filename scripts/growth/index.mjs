// `scripts/prove growth`: installations of several sizes beside each other, and a long decision log.
//
// DATABASES=sqlite,postgres, SIZES=10000,1000000,10000000 (users), BILLERS=5000 and ROWS=10000000 (decisions) select what is
// measured. WORK is the folder of the databases. POSTGRES=postgres://postgres@127.0.0.1:5432 uses a running server.

import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, openSync, rmSync, statfsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { closeConnections } from "../cluster/http.mjs";
import { isRunning, stop } from "../cluster/processes.mjs";
import { DATABASES, freePorts } from "./databases.mjs";
import { measureDecisions } from "./decisions.mjs";
import { Installation, peakMemory } from "./installation.mjs";
import { OPERATIONS, measureOperation, prepareRequests } from "./operations.mjs";
import { median, shuffle } from "./statistics.mjs";
import { BIG, MAX_USERS, World } from "./world.mjs";

const STARTS = 7;
/** Below it, requests would have to repeat usernames. */
const MIN_SIZE = 10_000;

function selection() {
  const list = (name, initial) => (process.env[name] ?? initial).split(",").map((part) => part.trim());
  const number = (name, text, least) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least) throw new Error(`${name}: ${text} is not a whole number of at least ${least}`);
    return value;
  };
  const databases = list("DATABASES", "sqlite,postgres");
  const unknown = databases.find((name) => !DATABASES[name]);
  if (unknown) throw new Error(`DATABASES: unknown database ${unknown}; expected ${Object.keys(DATABASES).join(", ")}`);
  const sizes = list("SIZES", "10000,1000000,10000000").map((size) => number("SIZES", size, MIN_SIZE)).sort((a, b) => a - b);
  if (sizes.at(-1) > MAX_USERS) throw new Error(`SIZES: at most ${MAX_USERS} users can be made`);
  if (sizes.length < 2) throw new Error("SIZES: name at least two sizes, the smallest is what the others are compared with");
  return {
    databases,
    sizes,
    billers: number("BILLERS", process.env.BILLERS ?? 5000, 100),
    rows: number("ROWS", process.env.ROWS ?? 10_000_000, 100_000),
  };
}

/** Bytes of the disk for each user and decision while they are measured: database, log of changes and files. */
const BYTES_PER_USER = 1500;
const BYTES_PER_DECISION = 800;

function checkSpace(folder, { sizes, rows }) {
  const needed = Math.max(sizes.reduce((sum, size) => sum + size, 0) * BYTES_PER_USER, rows * BYTES_PER_DECISION);
  const { bavail, bsize } = statfsSync(folder);
  const gigabytes = (bytes) => `${(bytes / 1e9).toFixed(1)} GB`;
  if (bavail * bsize > needed) return;
  const advice = "set WORK to a folder of another disk, or smaller SIZES and ROWS";
  throw new Error(`${folder} has ${gigabytes(bavail * bsize)} free, but about ${gigabytes(needed)} are needed: ${advice}`);
}

/** `save` is called after each database; the other one keeps its earlier results. */
export async function measureGrowth(binary, earlier = {}, save = () => {}) {
  const { databases, ...wanted } = selection();
  const folder = mkdtempSync(join(process.env.WORK ?? tmpdir(), "signpost-growth-"));
  const found = { ...earlier };
  let demo;
  try {
    checkSpace(folder, wanted);
    demo = await startStandIns(binary, folder);
    for (const name of databases) {
      const database = new DATABASES[name](folder);
      try {
        await database.start();
        const world = { binary, folder, database, demo };
        const on = new Date().toISOString().slice(0, 10);
        found[name] = { on, title: database.title, version: database.version, billers: wanted.billers };
        Object.assign(found[name], await measureSizes(world, wanted));
        found[name].decisions = await measureDecisions(world, wanted.rows);
        save(found);
      } finally {
        await database.stop();
      }
    }
  } finally {
    closeConnections();
    await stop(demo?.child);
    rmSync(folder, { recursive: true, force: true });
  }
  return found;
}

/** The demo, for its SecureAuth and its staff. Its own gateway has nothing to do. */
export async function startStandIns(binary, folder) {
  const data = join(folder, "stand-ins");
  mkdirSync(data);
  const base = await freePorts(10);
  const args = ["demo", "--json", "--port-base", String(base), "--data", data];
  const child = spawn(binary, args, { stdio: ["ignore", "pipe", openSync(join(folder, "stand-ins.log"), "w")] });
  child.ended = new Promise((done) => child.once("exit", done));
  const line = await new Promise((done, fail) => {
    createInterface({ input: child.stdout }).once("line", done);
    child.once("exit", (code) => fail(new Error(`the stand-ins ended with ${code}`)));
  });
  return { ...JSON.parse(line), child };
}

export async function measureSizes(world, { sizes, billers }) {
  const installations = [];
  const found = { sizes: {}, operations: {} };
  try {
    for (const size of sizes) {
      const installation = await Installation.create(String(size), { ...world, world: new World(size, billers) });
      installations.push(installation);
      found.sizes[size] = { imported: await installation.importUsers() };
      console.log(world.database.title, size, "imported", JSON.stringify(found.sizes[size].imported));
    }
    const starts = new Map(installations.map((installation) => [installation, []]));
    for (const installation of shuffle(Array.from({ length: STARTS }, () => installations).flat())) {
      await installation.stop();
      starts.get(installation).push(await installation.serve());
    }
    for (const installation of installations) {
      if (!isRunning(installation.process)) await installation.serve();
      await prepareRequests(installation);
      const times = starts.get(installation);
      found.sizes[installation.name].start = { median: median(times), worst: Math.max(...times), count: times.length };
      console.log(world.database.title, installation.name, "ready", times.map((ms) => ms.toFixed(0)).join(", "), "ms");
    }
    for (const [name, operation] of Object.entries(OPERATIONS)) {
      found.operations[name] = await measureOperation(operation, installations);
      console.log(world.database.title, name, JSON.stringify(found.operations[name]));
    }
    for (const installation of installations) {
      const size = installation.name;
      found.sizes[size].memory = peakMemory(installation.process.pid);
      found.sizes[size].impact = await measureImpact(installation);
      console.log(world.database.title, size, "impact", JSON.stringify(found.sizes[size].impact));
    }
  } finally {
    for (const installation of installations) await installation.remove();
  }
  return found;
}

/** What an impact preview of the largest biller takes. It reads all of its users. */
async function measureImpact(installation) {
  const begin = performance.now();
  const said = await installation.signpost("impact", "enable", BIG, "--format", "json");
  return { usernames: JSON.parse(said).usernames, seconds: (performance.now() - begin) / 1000 };
}
