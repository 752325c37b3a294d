// How soon all instances follow what an operator or a customer did at one of them.

import assert from "node:assert/strict";

import { cookies, send } from "./http.mjs";
import { pause, until } from "./processes.mjs";
import { BILLER, USERS } from "./world.mjs";

const ROUNDS = 6;
const MAX_SECONDS = 3;
const POLL_MS = 10;

/** One complete sign-in at an instance. Returns the cookie of the session. */
async function signIn(cluster, instance) {
  const started = await sendTo(cluster, instance, `/b/${BILLER}`);
  const agreed = await cluster.standins.signIn(new URL(started.headers.location), USERS[0]);
  const { pathname, search } = new URL(agreed.headers.location);
  const returned = await sendTo(cluster, instance, pathname + search, { headers: { cookie: cookies(started) } });
  assert.equal(returned.status, 303, returned.body);
  return cookies(returned);
}

/** A request of a customer to one instance. */
function sendTo(cluster, { url }, path, { headers = {}, ...options } = {}) {
  return send(url + path, { headers: { accept: "text/html", host: new URL(cluster.gateway).host, ...headers }, ...options });
}

async function isSignInOpen(cluster, instance) {
  const { status, headers } = await sendTo(cluster, instance, `/b/${BILLER}`);
  return status === 303 && headers.location.startsWith(cluster.secureauth);
}

async function expectSuccess(call) {
  const answer = await call;
  assert.ok(answer.status >= 200 && answer.status < 400, `${answer.status} ${answer.body}`);
  return answer;
}

/** A change of the biller's routing through the API of one instance. */
function routingControl(title, { method, path, on, off }) {
  return {
    title,
    set: (cluster, at) => expectSuccess(cluster.call(method, path, { json: on, base: at.url })),
    isSeen: async (cluster, instance) => !(await isSignInOpen(cluster, instance)),
    reset: (cluster, at) => expectSuccess(cluster.call(method, path, { json: off, base: at.url })),
    isReset: isSignInOpen,
  };
}

async function isSignedOut(cluster, instance, cookie) {
  return (await sendTo(cluster, instance, `/auth/verify?biller=${BILLER}`, { headers: { cookie } })).status === 401;
}

const CONTROLS = {
  killSwitch: routingControl("Kill switch (`PUT /api/v1/kill-switch`)", {
    method: "PUT",
    path: "/api/v1/kill-switch",
    on: { kill_switch: "all-legacy" },
    off: { kill_switch: "off" },
  }),
  pause: routingControl("Pause of a biller (`PATCH /api/v1/billers/…`)", {
    method: "PATCH",
    path: `/api/v1/billers/${BILLER}`,
    on: { paused: true },
    off: { paused: false },
  }),
  suspension: routingControl("Suspension of a biller (`PUT …/ciam`)", {
    method: "PUT",
    path: `/api/v1/billers/${BILLER}/ciam`,
    on: { active: false },
    off: { active: true },
  }),
  signOut: {
    title: "Sign-out by the customer (`POST /logout`)",
    prepare: signIn,
    set: (cluster, at, cookie) => {
      const request = { method: "POST", form: { biller: BILLER }, headers: { cookie } };
      return expectSuccess(sendTo(cluster, at, "/logout", request));
    },
    isSeen: isSignedOut,
  },
  endSessions: {
    title: "Sessions ended by an operator (`signpost end-sessions`, from the end of the command)",
    prepare: signIn,
    set: (cluster) => cluster.signpost("end-sessions", BILLER),
    isSeen: isSignedOut,
  },
  key: {
    title: "API key revoked (`DELETE /api/v1/keys/…`)",
    async prepare(cluster, at) {
      const json = { name: "short-lived", scopes: ["billers:read"] };
      const created = JSON.parse((await expectSuccess(cluster.call("POST", "/api/v1/keys", { json, base: at.url }))).body);
      for (const { url: base } of cluster.instances) {
        await expectSuccess(cluster.call("GET", "/api/v1/billers", { key: created.key, base }));
      }
      return created;
    },
    set: (cluster, at, { id }) => expectSuccess(cluster.call("DELETE", `/api/v1/keys/${id}`, { base: at.url })),
    isSeen: async (cluster, { url: base }, created) => {
      return (await cluster.call("GET", "/api/v1/billers", { key: created.key, base })).status === 401;
    },
  },
};

/** The slowest instance of the slowest round, in seconds, from the response to the request that made the change. */
export async function measurePropagation(cluster) {
  const found = {};
  for (const [name, control] of Object.entries(CONTROLS)) {
    let worst = 0;
    for (let round = 0; round < ROUNDS; round += 1) {
      const at = cluster.instances[round % cluster.instances.length];
      const others = cluster.instances.filter((instance) => instance !== at);
      const context = await control.prepare?.(cluster, at);
      // A random moment between two reads of the billers.
      await pause(600 * Math.random());
      await control.set(cluster, at, context);
      worst = slower(worst, await slowest(others, (instance) => control.isSeen(cluster, instance, context)));
      if (!control.reset) continue;
      await control.reset(cluster, at);
      worst = slower(worst, await slowest(others, (instance) => control.isReset(cluster, instance)));
      await until("the control is off everywhere", async () => {
        return (await Promise.all(cluster.instances.map((one) => control.isReset(cluster, one)))).every(Boolean);
      });
    }
    found[name] = { title: control.title, worst };
    console.log(name, worst);
  }
  found.usernameLimit = { title: "Limit of lookups for a username and network", worst: await usernameLimit(cluster) };
  return found;
}

/** Null is "not within the time", and slower than anything. */
const slower = (one, other) => (one === null || other === null ? null : Math.max(one, other));

async function slowest(instances, isSeen) {
  const start = performance.now();
  const times = await Promise.all(instances.map(async (instance) => {
    for (;;) {
      const asked = performance.now();
      if (await isSeen(instance)) return (performance.now() - start) / 1000;
      if (asked - start > MAX_SECONDS * 1000) return null;
      await pause(POLL_MS);
    }
  }));
  return times.reduce(slower, 0);
}

/** Lookups until one instance refuses; then a few at another one, which would allow them by its own count. */
async function usernameLimit(cluster) {
  const [first, ...others] = cluster.instances;
  const headers = { "x-forwarded-for": `198.51.100.${1 + Math.floor(250 * Math.random())}` };
  const form = { username: "one-username" };
  const request = { method: "POST", form, headers };
  const isRefused = async (instance) => (await sendTo(cluster, instance, "/login", request)).status === 429;
  let count = 0;
  while (!(await isRefused(first))) {
    count += 1;
    assert.ok(count < 50, "lookups are not limited");
  }
  let worst = 0;
  for (const instance of others) {
    const start = performance.now();
    let seen = null;
    for (const wait of [0, 500, 500]) {
      await pause(wait);
      const asked = performance.now();
      if (seen === null && (await isRefused(instance))) seen = (asked - start) / 1000;
    }
    worst = slower(worst, seen);
  }
  return worst;
}
