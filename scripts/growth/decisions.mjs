// A long decision log: lookups by reference code, and the sweep beside sign-ins.

import { readFileSync } from "node:fs";

import { cookies, send } from "../cluster/http.mjs";
import { pause, until } from "../cluster/processes.mjs";
import { simulatedCode } from "./databases.mjs";
import { Installation } from "./installation.mjs";
import { measureOperation } from "./operations.mjs";
import { median, quantile, shuffle } from "./statistics.mjs";
import { MIGRATED, World } from "./world.mjs";

/** Decisions of the log that the long one is compared with. */
const FEW = 10_000;
const DAY_MS = 86_400_000;
/** The log holds this many days; those before the retention time (90 days by default) are swept. */
const DAYS = 120;
const RETENTION_DAYS = 90;
/** The longest that a slice of the sweep may hold the writer. */
export const DECISION_LIMITS = { heldMs: 20 };
/** The sweep begins ten minutes after the start of the process. */
const SWEEP_SECONDS = 11 * 60;
const ROWS_PER_SLICE = 500;
/** How long the sweep is watched alone, and then with sign-ins beside it. */
const WATCH_MS = 20_000;
const SIGN_INS = 300;
const PASSWORD = "demo-password";
const USER = "one-moved";

const LOOKUP = {
  title: "`GET /api/v1/decisions/{code}`",
  status: 200,
  ask: (to, at) => to.send(`/api/v1/decisions/${to.codes[at]}?reason=growth`, { key: to.key }),
  check: ({ body }) => JSON.parse(body).recorded,
};

export async function measureDecisions(world, rows) {
  const installations = [];
  try {
    for (const count of [FEW, rows]) {
      const installation = await create(world, count);
      installations.push(installation);
    }
    const [few, many] = installations;
    const bytes = { few: few.bytes, many: many.bytes };
    for (const installation of installations) await installation.serve();
    const started = performance.now();
    const lookup = await measureOperation(LOOKUP, installations);
    console.log(world.database.title, "decisions", JSON.stringify(lookup));
    await few.stop();
    const sweep = await measureSweep(many, started);
    console.log(world.database.title, "sweep", JSON.stringify(sweep));
    return { rows, bytes, lookup, sweep };
  } finally {
    for (const installation of installations) await installation.remove();
  }
}

/** An installation with one real user, whose decision is copied. */
async function create(world, count) {
  const users = new World(FEW, 100);
  const log = "warn,signpost::sweeps=trace";
  const installation = await Installation.create(`log_${count}`, { ...world, world: users, log });
  await installation.importUsers();
  await installation.importUser(USER, MIGRATED);
  const scopes = ["decisions:read"].flatMap((scope) => ["--scope", scope]);
  installation.key = await installation.createKey("--name", "growth", ...scopes);
  const portal = ["--scope", "handoff:redeem", "--audience", "portal"];
  installation.portalKey = await installation.createKey("--name", "portal", ...portal);
  await installation.serve();
  const [username] = users.usernames("big-legacy", 1);
  await installation.send("/login", { method: "POST", form: { username } });
  // Writes the rest of the log.
  await installation.stop();
  const before = await installation.size();
  const begin = performance.now();
  await world.database.fillLog(installation.at, count, Date.now() - DAYS * DAY_MS, DAYS * DAY_MS);
  installation.bytes = (await installation.size()) - before;
  await world.database.settle(installation.at);
  console.log(world.database.title, count, "decisions inserted in", ((performance.now() - begin) / 1000).toFixed(1), "s");
  // From the rows that are not swept.
  const oldest = Math.ceil((count * (DAYS - RETENTION_DAYS + 1)) / DAYS);
  const wanted = 2000;
  const kept = Array.from({ length: wanted }, (_, at) => oldest + Math.floor((at * (count - oldest)) / wanted));
  installation.codes = shuffle(kept.map(simulatedCode));
  return installation;
}

/** The sweep alone, then with sign-ins beside it; sign-ins before it for comparison. */
async function measureSweep(installation, started) {
  const without = await signIns(installation, () => false);
  const limit = SWEEP_SECONDS - (performance.now() - started) / 1000;
  await until("the sweep begins", () => slices(installation).length > 0, limit);
  const begin = performance.now();
  const isOver = () => {
    const rows = slices(installation).map(({ rows }) => rows);
    return rows.some((count) => count < ROWS_PER_SLICE);
  };
  while (performance.now() - begin < WATCH_MS && !isOver()) await pause(250);
  const alone = slices(installation);
  const beside = isOver() ? null : await signIns(installation, isOver);
  const all = slices(installation);
  const gaps = (of) => of.slice(1).map(({ at }, number) => at - of[number].at);
  const rate = (of) => ((of.length - 1) * ROWS_PER_SLICE) / ((of.at(-1).at - of[0].at) / 1000);
  const held = gaps(alone);
  return {
    slices: all.length,
    isComplete: isOver(),
    alone: { slices: alone.length, perSecond: rate(alone), heldMs: summary(held), above: held.filter((ms) => ms > DECISION_LIMITS.heldMs).length },
    beside: beside && { ...beside, perSecond: rate(all.slice(alone.length)) },
    without,
  };
}

/** Statements of the sweep of the decision log, each with the time when it had been committed. */
function slices(installation) {
  const lines = readFileSync(installation.log, "utf8").split("\n").filter((line) => line.includes("DELETE FROM decision_log"));
  return lines.map((line) => JSON.parse(line)).map(({ timestamp, fields }) => ({ at: preciseTime(timestamp), rows: fields.rows }));
}

/** Milliseconds with their fraction, which Date.parse cuts off. */
function preciseTime(timestamp) {
  const [, seconds, fraction] = /^(.*)\.(\d+)Z$/.exec(timestamp);
  return Date.parse(`${seconds}Z`) + Number(`0.${fraction}`) * 1000;
}

function summary(values) {
  return { median: median(values), p99: quantile(values, 0.99), worst: Math.max(...values), count: values.length };
}

/** Whole sign-ins, one at a time. The callback commits twice, the redemption once: they wait for the sweep. */
async function signIns(installation, isOver) {
  const callback = [];
  const redeem = [];
  for (let number = 0; number < SIGN_INS && !isOver(); number += 1) {
    const started = await installation.send(`/b/${MIGRATED}`);
    const authorize = new URL(started.headers.location);
    const form = { ...Object.fromEntries(authorize.searchParams), username: USER, password: PASSWORD };
    const agreed = await send(authorize.origin + authorize.pathname, { method: "POST", form });
    const back = new URL(agreed.headers.location);
    let start = performance.now();
    const returned = await installation.send(back.pathname + back.search, { headers: { cookie: cookies(started) } });
    callback.push(performance.now() - start);
    if (returned.status !== 303) throw new Error(`/callback: ${returned.status}: ${returned.body}`);
    const json = { token: new URL(returned.headers.location).searchParams.get("token") };
    start = performance.now();
    const redeemed = await installation.send("/api/v1/handoffs/redeem", { method: "POST", key: installation.portalKey, json });
    redeem.push(performance.now() - start);
    if (redeemed.status !== 200) throw new Error(`redeem: ${redeemed.status}: ${redeemed.body}`);
  }
  return { callbackMs: summary(callback), redeemMs: summary(redeem) };
}
