// Whether samples are flat. The first third of a run fills caches; the other two are compared.

import { SWEPT } from "./ageing.mjs";

const MAX_MEMORY_GROWTH_MIB_PER_HOUR = 16;
/** SQLite checkpoints at 8 MiB, and `max_wal_size` of PostgreSQL is 128 MiB here; both may be exceeded for a moment. */
const MAX_WAL_MIB = { sqlite: 32, postgres: 192 };
/** A sweep begins ten minutes after the one before, and takes some seconds. */
const SWEEP_SECONDS = 615;
/** Two sweeps, before which the database grows and a trend of the memory says little. */
const MIN_SECONDS_FOR_GROWTH = 1500;
const MIB = 2 ** 20;

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

const largest = (values) => Math.max(...values);

/** The median of the slopes between all pairs of points (Theil and Sen). */
function slope(points) {
  return median(points.flatMap(([x, y], at) => points.slice(at + 1).map(([x2, y2]) => (y2 - y) / (x2 - x))));
}

/** Lines of the report: a value for each third, the limit as text, and whether the last third is within it. Null: a run too short
 *  to judge it, or no limit. */
export function judge(samples, { form, seconds, addedPerSecond }) {
  const thirds = [0, 1, 2].map((third) => samples.filter(({ at }) => Math.min(2, Math.floor((3 * at) / seconds)) === third));
  const each = (value, combine) => thirds.map((third) => combine(third.map(value)));
  const isLong = seconds >= MIN_SECONDS_FOR_GROWTH;
  const lines = [];
  const add = (what, values, limit, isFlat) => lines.push({ what, values, limit, isFlat });
  /** The last third's value may be so many times the middle third's. */
  const addRatio = (what, values, most, slack, isJudged = true) => {
    const limit = `${most} × the middle third${slack ? ` + ${slack}` : ""}`;
    add(what, values, limit, isJudged ? values[2] <= most * values[1] + slack : null);
  };

  const later = [...thirds[1], ...thirds[2]].map(({ at, memoryMib }) => [at, memoryMib]);
  const growth = slope(later) * 3600;
  add("Resident memory, MiB", each(({ memoryMib }) => memoryMib, median), "", null);
  const growthLimit = `${MAX_MEMORY_GROWTH_MIB_PER_HOUR} MiB an hour`;
  add("Its growth after the first third, MiB an hour", [null, null, growth], growthLimit, isLong ? growth <= MAX_MEMORY_GROWTH_MIB_PER_HOUR : null);
  addRatio("Open descriptors without connections of the load", each(({ descriptors }) => descriptors, median), 1, 4);
  addRatio("Threads", each(({ threads }) => threads, median), 1, 2);
  addRatio("CPU, ms a request", each(({ cpuMsPerRequest }) => cpuMsPerRequest, median), 1.2, 0);
  addRatio("Response time, median, ms", each(({ medianMs }) => medianMs, median), 1.5, 0);
  add("Response time, 99th percentile, ms", each(({ p99Ms }) => p99Ms, median), "", null);
  addRatio("Log, bytes a request", each(({ logBytesPerRequest }) => logBytesPerRequest, median), 1.02, 0);
  addRatio("Database, MiB", each(({ databaseBytes }) => databaseBytes / MIB, largest), 1.05, 1, isLong);
  const wal = each(({ walBytes }) => walBytes / MIB, largest);
  add("WAL, MiB", wal, `${MAX_WAL_MIB[form]}`, largest(wal) <= MAX_WAL_MIB[form]);
  for (const queue of Object.keys(samples[0].queues).sort()) {
    addRatio(`Queue \`${queue}\`, entries`, each(({ queues }) => queues[queue], largest), 1.5, 100);
  }
  const { dropped } = samples.at(-1);
  add("Dropped entries of the decision log", [null, null, dropped], "0", dropped === 0);
  const constant = [];
  for (const table of Object.keys(samples[0].rows).sort()) {
    const values = each(({ rows }) => rows[table], largest);
    if (SWEPT[table]) {
      const most = Math.ceil(samples[0].rows[table] + addedPerSecond[table] * SWEEP_SECONDS * 1.1 + 100);
      add(`Rows of \`${table}\``, values, `${most}: at first, and what ten minutes of load add`, values[2] <= most);
    } else if (values.every((value) => value === values[0])) {
      constant.push(table);
    } else {
      addRatio(`Rows of \`${table}\``, values, 1, 20);
    }
  }
  add("Other tables, all of constant size", [null, null, constant.length], "", null);
  return lines;
}

/** When sweeps of a table ended, in seconds, and the rows that they left. A sweep is a fall of the number of rows. */
export function sweeps(samples, table) {
  const isFall = (at) => at > 0 && at < samples.length && samples[at].rows[table] < samples[at - 1].rows[table] * 0.99;
  return samples.filter((_, at) => isFall(at) && !isFall(at + 1)).map(({ at, rows }) => ({ at, rows: rows[table] }));
}
