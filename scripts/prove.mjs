// Long runs against the demo of a release build, and a report of what they found. Called by scripts/prove.
//
// Nothing here is a browser: node's own HTTP client, keep-alive, no redirects followed.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import http from "node:http";
import { availableParallelism, cpus, tmpdir, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const BINARY = process.env.SIGNPOST_BIN ?? join(ROOT, "target/release/signpost");
const REPORT = process.env.REPORT ?? join(ROOT, "docs/prove-report.md");
const PORT = 30_000 + 4 * Math.floor(Math.random() * 500);
const PASSWORD = "demo-password";
const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });

/** One request; the answer with its headers as they came. */
function send(url, { method = "GET", form, json, headers = {} } = {}) {
  const body = form ? new URLSearchParams(form).toString() : json && JSON.stringify(json);
  const type = form ? "application/x-www-form-urlencoded" : "application/json";
  const bodyHeaders = body === undefined ? {} : { "content-type": type, "content-length": Buffer.byteLength(body) };
  return new Promise((done, fail) => {
    const request = http.request(url, { method, agent, headers: { ...headers, ...bodyHeaders } }, (response) => {
      const parts = [];
      response.on("data", (part) => parts.push(part));
      response.on("error", fail);
      response.on("end", () => {
        const { statusCode: status, statusMessage, rawHeaders } = response;
        done({ status, statusMessage, rawHeaders, headers: response.headers, body: Buffer.concat(parts) });
      });
    });
    request.on("error", fail);
    request.end(body);
  });
}

/** Runs a job `count` times, `width` at once; seconds it took. */
async function times(count, width, job) {
  let next = 0;
  const start = performance.now();
  const worker = async () => {
    while (next < count) await job(next++);
  };
  await Promise.all(Array.from({ length: width }, worker));
  return (performance.now() - start) / 1000;
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

class Demo {
  static async start() {
    const demo = new Demo();
    demo.data = mkdtempSync(join(tmpdir(), "signpost-prove-"));
    const args = ["demo", "--json", "--port-base", String(PORT), "--data", demo.data];
    demo.child = spawn(BINARY, args, { stdio: ["ignore", "pipe", openSync(join(demo.data, "log"), "w")] });
    const line = await new Promise((done, fail) => {
      createInterface({ input: demo.child.stdout }).once("line", done);
      demo.child.once("exit", (code) => fail(new Error(`the demo ended with ${code}`)));
    });
    return Object.assign(demo, JSON.parse(line));
  }

  async stop() {
    const ended = new Promise((done) => this.child.once("exit", done));
    this.child.kill("SIGTERM");
    await ended;
    rmSync(this.data, { recursive: true, force: true });
  }

  /** Resident memory, in MiB. */
  memory() {
    const status = readFileSync(`/proc/${this.child.pid}/status`, "utf8");
    return Number(/VmRSS:\s+(\d+)/.exec(status)[1]) / 1024;
  }

  rows(table) {
    const database = join(this.data, "signpost.db");
    return Number(execFileSync("sqlite3", ["-readonly", database, `SELECT count(*) FROM ${table}`], { encoding: "utf8" }));
  }
}

/** (a) People who begin and never come back must cost nothing that stays. */
async function abandonedStarts(demo) {
  const COUNT = 10_000;
  const WARM_UP = 2000;
  const begin = async () => {
    const answer = await send(`${demo.gateway}/b/riverside-water`);
    assert.equal(answer.status, 303);
    assert.ok(answer.headers.location.startsWith(demo.secureauth));
  };
  await times(WARM_UP, 8, begin);
  const memory = [demo.memory()];
  let seconds = 0;
  for (let part = 0; part < 5; part += 1) {
    seconds += await times(COUNT / 5, 8, begin);
    memory.push(demo.memory());
  }
  const rows = Object.fromEntries(["session", "biller_session", "used_once"].map((table) => [table, demo.rows(table)]));
  assert.deepEqual(rows, { session: 0, biller_session: 0, used_once: 0 });
  // The log is written in the background.
  let logged = -1;
  for (let now = demo.rows("decision_log"); now !== logged; now = demo.rows("decision_log")) {
    logged = now;
    await new Promise((done) => setTimeout(done, 1500));
  }
  return { count: COUNT, perSecond: COUNT / seconds, memory, rows, begun: COUNT + WARM_UP, logged };
}

/** (b) Rows 1, 3, 4 and 6 must not be told apart by what comes back. */
async function sameAnswers(demo) {
  const COUNT = 1000;
  const letters = "abcdefghijklmnopqrstuvwxyz";
  const random = (most) => Math.floor(Math.random() * most);
  const unknown = () => Array.from({ length: 1 + random(60) }, () => letters[random(26)]).join("");
  const names = {
    1: unknown,
    3: () => (random(2) ? "one-legacy" : `pine${String(1 + random(2500)).padStart(4, "0")}`),
    4: () => "moved-and-legacy",
    6: () => "two-legacy",
  };
  const order = Array.from({ length: COUNT }, (_, index) => Object.keys(names)[index % 4]);
  for (let at = order.length - 1; at > 0; at -= 1) {
    const other = random(at + 1);
    [order[at], order[other]] = [order[other], order[at]];
  }
  const shapes = new Map();
  const latency = { 1: [], 3: [], 4: [], 6: [] };
  for (const row of order) {
    const start = performance.now();
    const answer = await send(`${demo.gateway}/login`, { method: "POST", form: { username: names[row]() } });
    latency[row].push(performance.now() - start);
    const shape = shapeOf(answer);
    if (!shapes.has(shape)) shapes.set(shape, new Set());
    shapes.get(shape).add(row);
  }
  assert.equal(shapes.size, 1, `answers differ:\n${[...shapes].map(([s, rows]) => `${[...rows]}: ${s}`).join("\n")}`);
  const [[shape]] = shapes;
  assert.match(shape, /^303 /);
  const medians = Object.entries(latency).map(([row, values]) => [row, median(values)]);
  return { count: COUNT, medians };
}

/** Everything of an answer but the token's bytes, the date and the request's id. */
function shapeOf({ status, statusMessage, rawHeaders, body }) {
  const headers = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const [name, value] = [rawHeaders[at], rawHeaders[at + 1]];
    if (name === "date" || name === "x-request-id") headers.push(`${name}: ${value.length} bytes`);
    else if (name === "location") headers.push(`${name}: ${value.replace(/token=.*/, "token=")} ${value.length} bytes`);
    else headers.push(`${name}: ${value}`);
  }
  return `${status} ${statusMessage}\n${headers.join("\n")}\n${body.toString("base64")}`;
}

/** One whole sign-in; milliseconds of each part. */
async function signIn(demo) {
  const spent = {};
  const timed = async (name, work) => {
    const start = performance.now();
    const result = await work();
    spent[name] = performance.now() - start;
    return result;
  };
  const started = await timed("start", () => send(`${demo.gateway}/b/riverside-water`));
  assert.equal(started.status, 303);
  const cookie = started.headers["set-cookie"].map((line) => line.split(";")[0]).join("; ");
  const authorize = new URL(started.headers.location);
  const form = { ...Object.fromEntries(authorize.searchParams), username: "one-moved", password: PASSWORD };
  const agreed = await timed("authorize", () => send(authorize.origin + authorize.pathname, { method: "POST", form }));
  assert.equal(agreed.status, 303);
  const back = await timed("callback", () => send(agreed.headers.location, { headers: { cookie } }));
  assert.equal(back.status, 303);
  assert.ok(back.headers.location.startsWith(`${demo.portal}/handoff?`), back.headers.location);
  const token = new URL(back.headers.location).searchParams.get("token");
  const redeemed = await timed("redeem", () =>
    send(`${demo.gateway}/api/v1/handoffs/redeem`, {
      method: "POST",
      json: { token },
      headers: { authorization: `Bearer ${demo.api_key}` },
    }),
  );
  assert.equal(redeemed.status, 200);
  const handoff = JSON.parse(redeemed.body);
  assert.equal(handoff.username, "one-moved");
  assert.equal(handoff.biller, "riverside-water");
  return spent;
}

/** (c) Whole sign-ins in a second, beside the plainest page as a yardstick. */
async function throughput(demo) {
  const PAGES = 20_000;
  const SIGN_INS = 400;
  const page = async () => assert.equal((await send(`${demo.gateway}/login`)).status, 200);
  await times(2000, 8, page);
  const pagesPerSecond = PAGES / (await times(PAGES, 8, page));
  await times(20, 4, () => signIn(demo));
  const signInsPerSecond = SIGN_INS / (await times(SIGN_INS, 4, () => signIn(demo)));
  const alone = [];
  await times(200, 1, async () => alone.push(await signIn(demo)));
  const parts = Object.keys(alone[0]).map((name) => [name, median(alone.map((one) => one[name]))]);
  const pageAlone = [];
  await times(1000, 1, async () => {
    const start = performance.now();
    await page();
    pageAlone.push(performance.now() - start);
  });
  return { pagesPerSecond, signInsPerSecond, parts, pageAlone: median(pageAlone) };
}

/** MiB that the load of (a) may add. */
const MOST_GROWTH = 32;

function write({ starts, answers, rate, size }) {
  const whole = (value) => Math.round(value).toLocaleString("en-US");
  const ours = rate.parts.filter(([name]) => name !== "authorize").reduce((sum, [, ms]) => sum + ms, 0);
  const growth = starts.memory.at(-1) - starts.memory[0];
  const text = `# Report of the long runs

Written by \`scripts/prove\` on ${new Date().toISOString().slice(0, 10)}: ${availableParallelism()} cores (${cpus()[0].model.trim()}), ${Math.round(totalmem() / 2 ** 30)} GiB,
Linux, release build of ${(size / 2 ** 20).toFixed(1)} MiB. Gateway, stand-ins, SQLite and the client that measures share
these cores, so figures in a second are for comparing one run with another, not for planning.

## Sign-ins that are begun and never finished

${whole(starts.count)} times \`GET /b/riverside-water\` without cookies, 8 at once, after 2,000 to warm up: ${whole(starts.perSecond)} a second.

- Rows left behind: ${Object.entries(starts.rows).map(([table, count]) => `\`${table}\` ${count}`).join(", ")}. (The decision log holds ${whole(starts.logged)} of ${whole(starts.begun)}.)
- Resident memory after each 2,000, in MiB: ${starts.memory.map((mib) => mib.toFixed(1)).join(", ")}. That is ${growth.toFixed(1)} more at the end;
  at most ${MOST_GROWTH} are allowed, for entries of the decision log that wait to be written (10,000 at most).

## Rows 1, 3, 4 and 6 look alike

${whole(answers.count)} times \`POST /login\`, names of the four rows shuffled: one shape of answer. Status, header names and their order,
header values, length of \`Location\` and body are the same to the byte; only the token's bytes, \`date\` and \`x-request-id\` differ.

| row | median, ms |
| --- | --- |
${answers.medians.map(([row, ms]) => `| ${row} | ${ms.toFixed(2)} |`).join("\n")}

## Whole sign-ins

Start, authorize at the stand-in, callback (with the code's exchange), redeeming the hand-off: ${rate.signInsPerSecond.toFixed(1)} a second, 4 at once.
\`GET /login\` in the same run: ${whole(rate.pagesPerSecond)} a second, 8 at once. Ratio: 1 sign-in to ${whole(rate.pagesPerSecond / rate.signInsPerSecond)} pages.

One at a time, median, ms (\`GET /login\`: ${rate.pageAlone.toFixed(2)}):

| part | ms |
| --- | --- |
${rate.parts.map(([name, ms]) => `| ${name} | ${ms.toFixed(2)} |`).join("\n")}

\`authorize\` is the stand-in's alone, nearly all of it its password hash (Argon2). The gateway's own three parts take ${ours.toFixed(2)} ms,
of which \`callback\` holds the stand-in's signing of the ID token: ${whole(ours / rate.pageAlone)} times \`GET /login\`.
`;
  writeFileSync(REPORT, text);
  console.log(text);
  if (growth > MOST_GROWTH) throw new Error(`memory grew by ${growth.toFixed(1)} MiB`);
  if (starts.logged < starts.begun) throw new Error(`${starts.begun - starts.logged} decisions were not recorded`);
}

const demo = await Demo.start();
try {
  console.log("sign-ins that are never finished");
  const starts = await abandonedStarts(demo);
  console.log("answers that must look alike");
  const answers = await sameAnswers(demo);
  console.log("whole sign-ins");
  const rate = await throughput(demo);
  write({ starts, answers, rate, size: statSync(BINARY).size });
} finally {
  agent.destroy();
  await demo.stop();
}
