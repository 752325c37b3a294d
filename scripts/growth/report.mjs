// The part of the report about growth.

import { DECISION_LIMITS } from "./decisions.mjs";
import { OPERATIONS } from "./operations.mjs";

/** Latency and CPU time of an operation, compared with the smallest size. */
const MAX_RATIO = 1.1;
/** Cold start at the largest size, in milliseconds. */
const MAX_START_MS = 300;
/** Memory that the import of the largest size may need beyond that of the next smaller one, in MiB. */
const MAX_EXTRA_MIB = 64;

const whole = (value) => Math.round(value).toLocaleString("en-US");
const ms = (value) => (value < 10 ? value.toFixed(2) : value.toFixed(1));

/** Growth is proven if an interval is above the limit as a whole, and open if only a ratio is. */
function verdict({ msRatio, cpuRatio }) {
  const both = [msRatio, cpuRatio];
  if (both.some(({ interval }) => interval[0] > MAX_RATIO)) return "exceeded";
  return both.some(({ ratio }) => ratio > MAX_RATIO) ? "open" : "held";
}

function ratioText({ ratio, interval: [low, high] }) {
  return `${ratio.toFixed(2)} (${low.toFixed(2)} to ${high.toFixed(2)})`;
}

function measured(growth) {
  return Object.values(growth ?? {});
}

function compared({ title, operations, decisions: { rows, lookup } }) {
  const lines = (operation, found, unit) => {
    if (found.failure) return [{ title, operation, failure: found.failure }];
    const [smallest, ...others] = found;
    return others.map((other) => ({ title, operation, size: unit(other), smallest, other }));
  };
  return [
    ...Object.entries(operations).flatMap(([name, found]) => lines(OPERATIONS[name].title, found, ({ size }) => `${whole(size)} users`)),
    ...lines(OPERATIONS.decision.title, lookup, () => `${whole(rows)} decisions`),
  ];
}

function comparedText({ title, operation, size, smallest, other, failure }) {
  if (failure) return `| ${title} | ${operation} | | failed | | | | exceeded |`;
  const figures = [ms(smallest.ms), ratioText(other.msRatio), ms(smallest.cpu), ratioText(other.cpuRatio)];
  return `| ${[title, operation, size, ...figures, verdict(other)].join(" | ")} |`;
}

function sizesText({ title, sizes }) {
  const row = ([size, { imported, start, memory, impact }]) => {
    const ofImport = [imported.perSecond, imported.peak, imported.bytes / size].map(whole);
    const ready = `${whole(start.median)}, ${whole(start.worst)}`;
    const preview = `${impact.seconds.toFixed(1)} for ${whole(impact.usernames)}`;
    return `| ${[title, whole(size), ...ofImport, ready, whole(memory), preview].join(" | ")} |`;
  };
  return Object.entries(sizes).map(row).join("\n");
}

function sweepText({ title, decisions: { rows, bytes, sweep } }) {
  const { alone, beside } = sweep;
  const { median, p99, worst } = alone.heldMs;
  const rates = [whole(alone.perSecond), beside ? whole(beside.perSecond) : "over before"];
  const cells = [title, whole(rows), whole(bytes.many / rows), ...rates, ...[median, p99, worst].map(ms)];
  return `| ${[...cells, `${alone.above} of ${alone.slices}`].join(" | ")} |`;
}

function waitsText({ title, decisions: { sweep } }) {
  const cells = ({ median, p99, worst }) => [median, p99, worst].map(ms).join(", ");
  return ["callback", "redeem"].map((step) => {
    const beside = sweep.beside ? cells(sweep.beside[`${step}Ms`]) : "over before";
    return `| ${title} | ${step} | ${cells(sweep.without[`${step}Ms`])} | ${beside} |`;
  }).join("\n");
}

export function growthText(growth) {
  const all = measured(growth);
  if (all.length === 0) return "## Growth\n\nNot measured yet.\n";
  const on = all.map(({ title, version, on: day, billers }) => `${title} ${version} on ${day} with ${whole(billers)} billers`);
  return `## Growth

${on.join("; ")}. One biller of a hundred and one user of ten are migrated. Users are imported to two billers and then
spread over all of them. All sizes of a database are served at the same time by one process each.

The import is that of the largest file, without the spread. Bytes: the database per user. Ready: from the start of the process
until \`/readyz\` answers 200, median and worst; the limit is ${MAX_START_MS} ms at the largest size. Memory: the peak of \`signpost serve\` after
the operations below. The impact preview enables the largest biller and reads all of its users; it grows with them.

| database | users | rows per second | peak memory, MiB | bytes | ready, ms | memory, MiB | preview, s |
| --- | --- | --- | --- | --- | --- | --- | --- |
${all.map(sizesText).join("\n")}

Operations, one request at a time, in shuffled order over the sizes, each with a username of its own. The ratios to the smallest
size are those of the median latency and of the mean CPU time, with 95 % bootstrap intervals. CPU is that of \`signpost serve\` and of the
database's processes that work for it, which waiting for other programs does not change; latency is the client's and contains the
client's own work. The limit is ${MAX_RATIO} for both: *exceeded* means that an interval is above it as a whole, *open* that only a ratio is.

| database | operation | size | latency at the smallest, ms | ratio | CPU at the smallest, ms | ratio | limit |
| --- | --- | --- | --- | --- | --- | --- | --- |
${all.flatMap(compared).map(comparedText).join("\n")}

The sweep of the decision log deletes 500 rows at a time. Held: the time from one slice to the next while nothing else writes, so
at most this long a writer waits for a slice; the limit is ${DECISION_LIMITS.heldMs} ms for 99 % of the slices, because the machine is shared.

| database | decisions | bytes each | rows per second, alone | beside sign-ins | held, ms: median | 99 % | worst | above ${DECISION_LIMITS.heldMs} ms |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |
${all.map(sweepText).join("\n")}

Steps of sign-ins that write, one sign-in at a time, in milliseconds (median, 99 %, worst):

| database | step | before the sweep | during the sweep |
| --- | --- | --- | --- |
${all.map(waitsText).join("\n")}
`;
}

/** Throws if a limit is exceeded. */
export function checkGrowth(growth) {
  const problems = [];
  for (const one of measured(growth)) {
    for (const { title, operation, size, other, failure } of compared(one)) {
      if (failure) problems.push(`${title}: ${failure}`);
      else if (verdict(other) === "exceeded") problems.push(`${title}, ${size}: ${operation} takes ${ratioText(other.msRatio)} times as long, CPU ${ratioText(other.cpuRatio)}`);
    }
    const [[size, largest], [, next]] = Object.entries(one.sizes).sort(([a], [b]) => b - a);
    if (largest.start.median > MAX_START_MS) problems.push(`${one.title}: ready after ${whole(largest.start.median)} ms with ${size} users`);
    const extra = largest.imported.peak - next.imported.peak;
    if (extra > MAX_EXTRA_MIB) problems.push(`${one.title}: the import of ${size} users took ${whole(extra)} MiB more`);
    const { p99 } = one.decisions.sweep.alone.heldMs;
    if (p99 > DECISION_LIMITS.heldMs) problems.push(`${one.title}: the sweep holds the writer for ${ms(p99)} ms`);
  }
  if (problems.length > 0) throw new Error(problems.join("\n"));
}
