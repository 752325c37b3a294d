// Signing in and out by another provider that is not ours: Canaille, from PyPI. Its ID tokens have a list as `aud` and
// an `auth_time` with a fraction.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stopProcess, parseIdTokenHint, expectPortal, waitUntil, useGateway } from "../lib/gateway.mjs";
import * as step from "../lib/steps.mjs";
import { HERE, logFile } from "../lib/world.mjs";

const PASSWORD = "correct horse";
const CLIENT_SECRET = "a secret: 100 % + more";
/** Where it is installed, by the first start. */
const VENV = process.env.SIGNPOST_SECOND_PROVIDER_VENV ?? join(tmpdir(), "signpost-second-provider");
const START_TIMEOUT = 300_000;

const world = useGateway(async (starting) => {
  const port = starting.port + 1;
  const issuer = `http://127.0.0.1:${port}`;
  const environment = { PORT: port, GATEWAY: starting.gateway, CLIENT_ID: "signpost", CLIENT_SECRET, VENV };
  const log = logFile("-canaille");
  const output = openSync(log, "w");
  const child = spawn(join(HERE, "../second-provider/start"), {
    env: { ...process.env, ...environment },
    stdio: ["ignore", output, output],
  });
  starting.onStop(async () => {
    await stopProcess(child);
    rmSync(join(VENV, `state-${port}`), { recursive: true, force: true });
  });
  starting.externalOrigins.push(issuer);
  starting.issuer = issuer;
  const answers = async () => {
    assert.equal(child.exitCode, null, `Canaille stopProcess, see ${log}`);
    const answer = await fetch(`${issuer}/.well-known/openid-configuration`).catch(() => undefined);
    return answer?.ok;
  };
  await waitUntil(answers, "Canaille serves", START_TIMEOUT);
  return { billers: [{ slug: "second", oidc: { issuer, client_id: "signpost", client_secret: CLIENT_SECRET } }] };
}, { timeout: START_TIMEOUT + 60_000 });

const seconds = () => Math.floor(Date.now() / 1000);
let lastSignIn = 0;

/** Canaille fails at the second of two sign-ins in one second: it makes the same access token again. */
async function begin({ page }) {
  await waitUntil(() => seconds() > lastSignIn, "a second passes");
  await page.goto(world.url("/b/second"));
}

async function end(visitor) {
  const handoff = await expectPortal(visitor, "second");
  lastSignIn = seconds();
  return handoff;
}

async function signIn(visitor) {
  const { page } = visitor;
  await begin(visitor);
  await page.getByRole("textbox", { name: "Login" }).fill("one-moved");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("textbox", { name: "Password" }).fill(PASSWORD);
  await page.getByRole("button", { name: "Sign in" }).click();
  return end(visitor);
}

world.journey("from the biller's address to the portal", async (visitor) => {
  const { iss, sub, auth_time: authTime } = await signIn(visitor);
  assert.deepEqual({ iss, sub }, { iss: world.issuer, sub: "one-moved" });
  assert.ok(Number.isInteger(authTime) && Math.abs(seconds() - authTime) < 60, `auth_time ${authTime}`);
  const { status, "x-signpost-user": user } = await world.verify(visitor, "second");
  assert.deepEqual([status, user], [200, "one-moved"]);
  // The provider remembers who it is.
  await begin(visitor);
  await end(visitor);
});

world.journey("signing out ends both sides", async (visitor) => {
  const { page } = visitor;
  const handoff = await signIn(visitor);
  await page.goto(world.url("/logout"));
  await page.getByRole("button", { name: "Sign out of second" }).click();
  await step.expectHeading(page, "You are signed out of second");
  assert.equal(step.urlWithoutQuery(page), world.url("/signed-out"));
  await step.expectHelp(page);
  const address = visitor.requests.find((url) => url.startsWith(`${world.issuer}/oauth/end_session?`));
  const { aud, auth_time: authTime } = parseIdTokenHint(address).claims;
  assert.deepEqual(aud, ["signpost"]);
  assert.ok(!Number.isInteger(authTime), `auth_time ${authTime}`);
  assert.equal(handoff.auth_time, Math.floor(authTime));
  assert.equal((await world.verify(visitor, "second")).status, 401);
  await page.goto(world.url("/b/second"));
  await page.getByRole("textbox", { name: "Login" }).waitFor();
});
