// The same operations at installations of several sizes, interleaved, so that ratios come from one run.

import { cpuBetween, cpuTimes } from "./databases.mjs";
import { mean, median, ratioOf, shuffle } from "./statistics.mjs";
import { BIG, MIGRATED } from "./world.mjs";

const ROUNDS = 20;
const PER_ROUND = 40;
/** Rows of a page of the identity API: the smallest installation has more than 1,000 such pages. */
const PAGE_SIZE = 9;
const MAX_PAGE_SIZE = 300;
/** An operation of more time is asked for once a round, and after this time the rounds end unless they are too few. */
const SLOW_MS = 250;
const BUDGET_MS = 60_000;
const MIN_ROUNDS = 5;
const TIMEOUT_MS = 120_000;
/** The decision log is written within this time. */
const LOG_MS = 1000;

/** Requests by number, each of one name that no other request has. The first round only warms up. */
export const OPERATIONS = {
  loginUnknown: {
    title: "`POST /login`, unknown username",
    status: 303,
    ask: (to, at) => to.send("/login", { method: "POST", form: { username: to.names.unknown[at] } }),
  },
  loginLegacy: {
    title: "`POST /login`, legacy username",
    status: 303,
    ask: (to, at) => to.send("/login", { method: "POST", form: { username: to.names.login[at] } }),
  },
  loginMigrated: {
    title: "`POST /login`, migrated username (bookmark notice)",
    status: 200,
    ask: (to, at) => to.send("/login", { method: "POST", form: { username: to.names.migrated[at] } }),
  },
  billerMigrated: {
    title: "`GET /b/{slug}`, migrated biller",
    status: 303,
    ask: (to, at) => to.send(`/b/${to.slugs.migrated[at % to.slugs.migrated.length]}`),
  },
  billerLegacy: {
    title: "`GET /b/{slug}`, legacy biller",
    status: 303,
    ask: (to, at) => to.send(`/b/${to.slugs.legacy[at % to.slugs.legacy.length]}`),
  },
  simulation: {
    title: "`POST /api/v1/simulations`",
    status: 200,
    ask: (to, at) => to.send("/api/v1/simulations", { method: "POST", key: to.key, json: { username: to.names.simulation[at] } }),
  },
  decision: {
    title: "`GET /api/v1/decisions/{code}`",
    status: 200,
    prepare: findCodes,
    ask: (to, at) => to.send(`/api/v1/decisions/${to.codes[at]}?reason=growth`, { key: to.key }),
  },
  console: {
    title: "Console, search for a user",
    status: 200,
    ask: (to, at) => {
      const form = { username: to.names.console[at], reason: "growth", unmask: "on" };
      return to.sendConsole("/users", { method: "POST", headers: { cookie: to.cookie }, form });
    },
    check: ({ body }) => body.includes("@mail.example"),
  },
  usersFirst: {
    title: "`GET /identity/v1/users`, first page",
    status: 200,
    ask: (to) => to.send(`/identity/v1/users?page_size=${PAGE_SIZE}`, { key: to.key }),
    check: isFullPage,
  },
  usersThousandth: {
    title: "`GET /identity/v1/users`, 1,000th page by token",
    status: 200,
    prepare: findThousandthPage,
    ask: (to) => to.send(to.thousandthPage, { key: to.key }),
    check: isFullPage,
  },
  usersByNumber: {
    title: "`GET /identity/v1/users?page=1000`",
    status: 200,
    ask: (to) => to.send(`/identity/v1/users?page_size=${PAGE_SIZE}&page=1000`, { key: to.key, timeout: TIMEOUT_MS }),
    check: isFullPage,
  },
  usersByEmail: {
    title: "`GET /identity/v1/users?email=`",
    status: 200,
    ask: (to, at) => to.send(`/identity/v1/users?email=${to.names.email[at]}@mail.example`, { key: to.key }),
    check: ({ body }) => JSON.parse(body).users.length === 1,
  },
  userUpdate: {
    title: "`PATCH /identity/v1/users/{id}`",
    status: 200,
    prepare: findUsers,
    ask: (to, at) => to.send(`/identity/v1/users/${to.users[at]}`, { method: "PATCH", key: to.key, json: { name: "Ann van Dyk" } }),
  },
  billers: {
    title: "`GET /api/v1/billers`",
    status: 200,
    ask: (to) => to.send("/api/v1/billers", { key: to.key }),
  },
};

class UnexpectedResponse extends Error {}

function isFullPage({ body }) {
  return JSON.parse(body).users.length === PAGE_SIZE;
}

/** Names, keys and a member of staff for one installation. */
export async function prepareRequests(installation) {
  const count = (ROUNDS + 1) * PER_ROUND;
  const scopes = ["simulate", "decisions:read", "billers:read", "identity:read", "identity:write"];
  installation.key = await installation.createKey("--name", "growth", ...scopes.flatMap((scope) => ["--scope", scope]));
  installation.cookie = await installation.signInStaff();
  const { world } = installation;
  const uses = ["login", "simulation", "console", "email"];
  const legacy = uses.map((use, at) => [use, shuffle(world.usernames(BIG, count, [at, uses.length]))]);
  const migrated = shuffle(world.usernames(MIGRATED, count));
  installation.names = { ...Object.fromEntries(legacy), migrated, unknown: world.unknownUsernames(count) };
  installation.slugs = { legacy: shuffle(world.slugs(false)), migrated: shuffle(world.slugs(true)) };
}

/** Reference codes of the sign-ins before. */
async function findCodes(installation) {
  await new Promise((done) => setTimeout(done, LOG_MS));
  const count = (ROUNDS + 1) * PER_ROUND;
  const text = await installation.query(`SELECT code FROM decision_log WHERE kind = 'row 3' LIMIT ${count}`);
  installation.codes = shuffle(text.split("\n"));
  if (installation.codes.length < count) throw new Error(`${installation.codes.length} decisions were recorded, expected ${count}`);
}

async function findUsers(installation) {
  const text = await installation.query(`SELECT id FROM users WHERE status = 'active' LIMIT ${(ROUNDS + 1) * PER_ROUND}`);
  installation.users = shuffle(text.split("\n"));
}

/** Follows the links in large steps: a token does not depend on the size of the page. */
async function findThousandthPage(installation) {
  let path = "/identity/v1/users?";
  for (let rest = 999 * PAGE_SIZE; rest > 0; rest -= MAX_PAGE_SIZE) {
    const size = Math.min(rest, MAX_PAGE_SIZE);
    path += `&page_size=${size}`;
    const { status, body } = await installation.send(path, { key: installation.key });
    if (status !== 200) throw new UnexpectedResponse(`a page of ${size} users at ${installation.name}: ${status}: ${body.slice(0, 300)}`);
    const token = new URL(JSON.parse(body).links.next).searchParams.get("start_token");
    path = `/identity/v1/users?start_token=${encodeURIComponent(token)}`;
  }
  installation.thousandthPage = `${path}&page_size=${PAGE_SIZE}`;
}

/** Latency and CPU time of one operation at each installation, or why it failed. */
export async function measureOperation(operation, installations) {
  try {
    return await measure(operation, installations);
  } catch (error) {
    if (!(error instanceof UnexpectedResponse)) throw error;
    return { failure: error.message };
  }
}

async function measure(operation, installations) {
  for (const to of installations) await operation.prepare?.(to);
  const warmUp = await measureRound(operation, installations, 0, PER_ROUND, SLOW_MS);
  let number = PER_ROUND;
  const perRound = warmUp.isSlow ? 1 : PER_ROUND;
  const samples = new Map(installations.map((to) => [to, { ms: [], cpu: [] }]));
  const end = performance.now() + BUDGET_MS;
  for (let round = 0; round < ROUNDS && (round < MIN_ROUNDS || performance.now() < end); round += 1) {
    const { times, cpu } = await measureRound(operation, installations, number, perRound);
    number += perRound;
    for (const to of installations) {
      samples.get(to).ms.push(...times.get(to));
      samples.get(to).cpu.push(cpu.get(to) / perRound);
    }
  }
  const [smallest] = installations;
  return installations.map((to) => {
    const { ms, cpu } = samples.get(to);
    // The decision log is written in some rounds only, so the median of the rounds would leave it out.
    const found = { size: to.name, requests: ms.length, ms: median(ms), cpu: mean(cpu) };
    if (to === smallest) return found;
    const reference = samples.get(smallest);
    return { ...found, msRatio: ratioOf(median, ms, reference.ms), cpuRatio: ratioOf(mean, cpu, reference.cpu) };
  });
}

/** `perRound` requests at each installation in shuffled order. Ends early after a request that takes more than `slowMs`. */
async function measureRound({ title, status, ask, check }, installations, number, perRound, slowMs = Infinity) {
  const order = shuffle(installations.flatMap((to) => Array.from({ length: perRound }, (_, at) => [to, number + at])));
  const processes = new Map();
  for (const to of installations) processes.set(to, await to.processes());
  const before = new Map(installations.map((to) => [to, cpuTimes(processes.get(to))]));
  const times = new Map(installations.map((to) => [to, []]));
  for (const [to, at] of order) {
    const start = performance.now();
    const answer = await ask(to, at);
    const ms = performance.now() - start;
    times.get(to).push(ms);
    const isExpected = answer.status === status && (check?.(answer) ?? true);
    if (!isExpected) throw new UnexpectedResponse(`${title} at ${to.name}: ${answer.status}: ${answer.body.slice(0, 300)}`);
    if (ms > slowMs) return { isSlow: true };
  }
  const cpu = new Map(installations.map((to) => [to, cpuBetween(before.get(to), cpuTimes(processes.get(to)))]));
  return { isSlow: false, times, cpu };
}
