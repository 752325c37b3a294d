// What a process uses, at regular moments.

import { readFileSync, readdirSync } from "node:fs";

import { connectionsTo, send } from "../cluster/http.mjs";
import { pause } from "../cluster/processes.mjs";
import { countRows } from "./databases.mjs";

const INTERVAL_MS = 10_000;
/** CLK_TCK of Linux. */
const TICKS_PER_SECOND = 100;

function usage(pid) {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const field = (name) => Number(new RegExp(`^${name}:\\s+(\\d+)`, "m").exec(status)[1]);
  // The name of the command may hold spaces; utime is the twelfth field behind it.
  const [user, system] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ").slice(11, 13).map(Number);
  return {
    memoryMib: field("VmRSS") / 1024,
    descriptors: readdirSync(`/proc/${pid}/fd`).length,
    threads: field("Threads"),
    cpuSeconds: (user + system) / TICKS_PER_SECOND,
  };
}

/** The state of the process. Connections of the load come and go with its speed, so they are counted apart. */
function moment(world, load) {
  const { gateway, console: staff, management } = world.ports;
  const connections = [gateway, staff, management].reduce((sum, port) => sum + connectionsTo(port), 0);
  const { descriptors, ...rest } = usage(world.process.pid);
  return { ...rest, connections, descriptors: descriptors - connections, requests: load.requests, logBytes: world.log.bytes };
}

/** Values of a metric, by the value of a label. */
function metric(text, name, label) {
  const lines = text.matchAll(new RegExp(`^${name}\\{${label}="([^"]+)"\\} (\\S+)$`, "gm"));
  return Object.fromEntries([...lines].map(([, key, value]) => [key, Number(value)]));
}

function percentile(sorted, share) {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null;
}

/** Since the start. */
function failedRequests({ failures }) {
  return Object.values(failures).reduce((sum, count) => sum + count, 0);
}

function progress({ at, memoryMib, descriptors, threads, medianMs, rows, failed }, { requests }) {
  const state = [`${memoryMib.toFixed(1)} MiB`, `${descriptors} descriptors`, `${threads} threads`, `${rows.decision_log} decisions`];
  return `${Math.round(at / 60)} min: ${[...state, `${medianMs.toFixed(1)} ms`, `${requests} requests, ${failed} failed`].join(", ")}`;
}

/** Samples until `isOver`. Latencies, logs and requests are those since the sample before. */
export async function sample(world, load, tables, isOver) {
  const samples = [];
  const begin = performance.now();
  let before = moment(world, load);
  load.latencies = [];
  for (let number = 1; ; number += 1) {
    await pause(begin + number * INTERVAL_MS - performance.now());
    if (isOver()) return samples;
    const now = moment(world, load);
    const latencies = load.latencies.sort((a, b) => a - b);
    load.latencies = [];
    const requests = now.requests - before.requests;
    const { body: metrics } = await send(`${world.management}/metrics`);
    samples.push({
      at: (performance.now() - begin) / 1000,
      memoryMib: now.memoryMib,
      descriptors: now.descriptors,
      connections: now.connections,
      threads: now.threads,
      requests,
      failed: failedRequests(load),
      cpuMsPerRequest: (1000 * (now.cpuSeconds - before.cpuSeconds)) / requests,
      logBytesPerRequest: (now.logBytes - before.logBytes) / requests,
      medianMs: percentile(latencies, 0.5),
      p99Ms: percentile(latencies, 0.99),
      queues: metric(metrics, "signpost_queue_entries", "queue"),
      dropped: Number(/^signpost_decision_log_dropped_entries_total (\d+)/m.exec(metrics)[1]),
      rows: await countRows(world.database, tables),
      ...(await world.database.sizes()),
    });
    before = now;
    if (number % 6 === 0) console.log(progress(samples.at(-1), load));
  }
}
