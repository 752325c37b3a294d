// Signing in and out by another provider that is not ours: Canaille, from PyPI. Its ID tokens have a list as `aud` and
// an `auth_time` with a fraction.

import assert from "node:assert/strict";
import { parseIdTokenHint, expectPortal, waitUntil, useGateway } from "../lib/gateway.mjs";
import { PASSWORD, START_TIMEOUT, startProvider } from "../lib/providers.mjs";
import * as step from "../lib/steps.mjs";

const CLIENT_SECRET = "a secret: 100 % + more";

const world = useGateway(async (starting) => {
  const { gateway } = starting;
  const client = {
    client_id: "signpost",
    client_secret: CLIENT_SECRET,
    redirect_uris: [`${gateway}/callback/second`],
    post_logout_redirect_uris: [`${gateway}/signed-out`],
  };
  const { origin } = await startProvider(starting, "canaille", { offset: 1, clients: [client] });
  starting.issuer = origin;
  return { billers: [{ slug: "second", oidc: { issuer: origin, client_id: "signpost", client_secret: CLIENT_SECRET } }] };
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
