// A steady load of whole sign-ins, and what is acknowledged to customers and machines meanwhile.

import { readFileSync } from "node:fs";

import { cookies, send } from "./http.mjs";
import { pause } from "./processes.mjs";
import { BILLER, USERS } from "./world.mjs";

/** Sign-ins that start in a second, whether or not earlier ones have ended. */
const RATE = 8;

export class Customers {
  attempts = [];
  sessions = [];
  redeemed = [];
  users = [];

  constructor(cluster) {
    this.cluster = cluster;
    this.pending = new Set();
  }

  start() {
    const track = (work) => {
      const done = work.finally(() => this.pending.delete(done));
      this.pending.add(done);
    };
    this.timers = [
      setInterval(() => track(this.#signIn()), 1000 / RATE),
      setInterval(() => track(this.#createUser()), 1000),
    ];
  }

  async stop() {
    for (const timer of this.timers) clearInterval(timer);
    await Promise.all(this.pending);
  }

  /** One sign-in. It starts at one instance and returns at another, as HAProxy chooses. */
  async #signIn() {
    const { cluster } = this;
    const attempt = { at: performance.now(), slowest: 0, failure: null };
    this.attempts.push(attempt);
    const headers = { accept: "text/html" };
    const step = async (name, request, isExpected) => {
      const start = performance.now();
      const answer = await request().catch((error) => ({ error }));
      const ms = performance.now() - start;
      if (name !== "SecureAuth") attempt.slowest = Math.max(attempt.slowest, ms);
      if (!answer.error && isExpected(answer)) return answer;
      throw Object.assign(new Error(name), { failure: { step: name, ms, ...describe(answer) } });
    };
    try {
      const isRedirectTo = (place) => ({ status, headers }) => status === 303 && headers.location.startsWith(place);
      const begin = () => send(`${cluster.gateway}/b/${BILLER}`, { headers });
      const started = await step("start", begin, isRedirectTo(cluster.secureauth));
      const username = USERS[this.attempts.length % USERS.length];
      const authorize = new URL(started.headers.location);
      const agreed = await step("SecureAuth", () => cluster.standins.signIn(authorize, username), isRedirectTo(cluster.gateway));
      const back = { headers: { ...headers, cookie: cookies(started) } };
      const returned = await step("return", () => send(agreed.headers.location, back), isRedirectTo(cluster.portal));
      attempt.requests = [started, returned].map((answer) => answer.headers["x-request-id"]);
      const cookie = cookies(returned);
      this.sessions.push(cookie);
      const json = { token: new URL(returned.headers.location).searchParams.get("token") };
      const redeem = () => cluster.call("POST", "/api/v1/handoffs/redeem", { key: cluster.portalKey, json });
      await step("portal", redeem, ({ status }) => status === 200);
      this.redeemed.push(json);
      const verify = () => send(`${cluster.gateway}/auth/verify?biller=${BILLER}`, { headers: { cookie } });
      await step("verify", verify, ({ status }) => status === 200);
    } catch (error) {
      if (!error.failure) throw error;
      attempt.failure = error.failure;
    }
  }

  async #createUser() {
    const email = `user-${this.users.length}-${Math.random().toString(36).slice(2)}@mail.example`;
    const answer = await this.cluster.call("POST", "/identity/v1/users", { json: { email } }).catch(() => ({}));
    if (answer.status === 201) this.users.push(JSON.parse(answer.body).id);
  }

  /** Sign-ins that failed, oldest first. */
  get failures() {
    return this.attempts.filter(({ failure }) => failure);
  }

  /** How many sign-ins started at one instance and returned at another, by the logs. */
  crossings() {
    const instanceOf = new Map();
    for (const { name, log } of this.cluster.instances) {
      for (const [, id] of readFileSync(log, "utf8").matchAll(/"request":"([^"]+)"/g)) instanceOf.set(id, name);
    }
    const places = this.attempts.filter(({ requests }) => requests).map(({ requests }) => requests.map((id) => instanceOf.get(id)));
    return places.filter(([started, returned]) => started && returned && started !== returned).length;
  }

  /** Checks at every instance what was acknowledged. Returns how much of it is gone. */
  async lost() {
    const { cluster } = this;
    const lost = { sessions: 0, redeemed: 0, users: 0 };
    const host = new URL(cluster.gateway).host;
    const each = async (items, check) => {
      let missing = 0;
      const rest = [...items];
      const worker = async () => {
        while (rest.length > 0) missing += (await check(rest.pop())) ? 0 : 1;
      };
      await Promise.all(Array.from({ length: 4 }, worker));
      return missing;
    };
    for (const { url: base } of cluster.instances) {
      const verify = (cookie) => send(`${base}/auth/verify?biller=${BILLER}`, { headers: { cookie, host } });
      lost.sessions = Math.max(lost.sessions, await each(this.sessions, async (cookie) => (await verify(cookie)).status === 200));
      const user = (id) => cluster.call("GET", `/identity/v1/users/${id}`, { base });
      lost.users = Math.max(lost.users, await each(this.users, async (id) => (await user(id)).status === 200));
      // A token that was redeemed must not work again.
      const redeem = (json) => cluster.call("POST", "/api/v1/handoffs/redeem", { key: cluster.portalKey, json, base });
      lost.redeemed = Math.max(lost.redeemed, await each(this.redeemed, async (json) => (await redeem(json)).status === 404));
    }
    return lost;
  }
}

/** What a customer sees instead of what was expected. */
function describe({ error, status, headers, body }) {
  if (error) {
    const isTimeout = ["AbortError", "TimeoutError"].includes(error.name);
    return { status: 0, by: "none", title: isTimeout ? "no answer" : "connection lost", isWayOn: false };
  }
  const by = headers["x-request-id"] ? "Signpost" : "HAProxy";
  if (status < 400) return { status, by, title: `redirect to ${new URL(headers.location).pathname}`, isWayOn: true };
  const isPage = (headers["content-type"] ?? "").startsWith("text/html");
  const title = isPage ? /<title>([^<]*)<\/title>/.exec(body)?.[1] : JSON.parse(body).title;
  return { status, by, title, isWayOn: isPage && /<a [^>]*href=|<form /.test(body) };
}

/** Measures until customers and instances have been well for some seconds. */
export async function measureCase(cluster, { fault, settleSeconds = 8, maxSeconds = 150 }) {
  const customers = new Customers(cluster);
  const samples = [];
  let isOver = false;
  const watch = (async () => {
    while (!isOver) {
      const at = performance.now();
      const unhealthy = await cluster.unhealthy();
      samples.push({ at, unhealthy });
      await pause(200);
    }
  })();
  customers.start();
  await pause(5000);
  const begin = performance.now();
  const details = await fault(cluster);
  const end = performance.now();
  const lastTrouble = () => Math.max(
    customers.failures.at(-1)?.at ?? 0,
    samples.findLast(({ unhealthy }) => unhealthy.length > 0)?.at ?? 0,
    end,
  );
  while (performance.now() - lastTrouble() < settleSeconds * 1000 && performance.now() - end < maxSeconds * 1000) await pause(200);
  const isHealthy = performance.now() - lastTrouble() >= settleSeconds * 1000;
  const healthyAfter = isHealthy ? (lastTrouble() - end) / 1000 : null;
  isOver = true;
  await customers.stop();
  await watch;
  const lost = await customers.lost();
  const { attempts, failures } = customers;
  const slots = new Set(failures.map(({ at }) => Math.floor((at - begin) / 1000)));
  return {
    faultSeconds: (end - begin) / 1000,
    attempts: attempts.length,
    failed: failures.length,
    crossings: customers.crossings(),
    acknowledged: { sessions: customers.sessions.length, redeemed: customers.redeemed.length, users: customers.users.length },
    lost,
    unavailableSeconds: slots.size,
    healthyAfter,
    slowestMs: Math.max(...attempts.map(({ slowest }) => slowest)),
    saw: summary(failures),
    details,
    unhealthy: [...new Set(samples.flatMap(({ unhealthy }) => unhealthy))].sort(),
  };
}

/** Equal failures as one, with their number and the longest wait. */
function summary(failures) {
  const groups = new Map();
  for (const { failure: { ms, ...what } } of failures) {
    const key = JSON.stringify(what);
    const group = groups.get(key) ?? { ...what, count: 0, slowestMs: 0 };
    groups.set(key, { ...group, count: group.count + 1, slowestMs: Math.max(group.slowestMs, ms) });
  }
  return [...groups.values()].sort((a, b) => b.count - a.count);
}
