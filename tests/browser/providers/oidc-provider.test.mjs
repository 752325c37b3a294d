// Signing in and out by a certified provider that is not ours: one issuer for each biller, each with its own demands.

import assert from "node:assert/strict";
import { PRINTABLE_ASCII, PASSWORD, startIssuers } from "../issuers.mjs";
import { parseIdTokenHint, expectPortal, signInAt as enter, waitUntil, useGateway } from "../lib/gateway.mjs";
import * as step from "../lib/steps.mjs";

const SECRET = "a-secret";
const STRONG = "urn:example:strong";
const tokenAuth = (token_auth) => ({ client: { token_endpoint_auth_method: token_auth }, oidc: { token_auth } });
const privateKey = () => {
  const { client, oidc } = tokenAuth("private_key_jwt");
  return { client: { ...client, client_secret: undefined }, oidc: { ...oidc, client_secret: undefined } };
};
const backchannelLogoutTo = (slug, sessionRequired) => ({
  client: {
    backchannel_logout_uri: `/backchannel-logout/${slug}`,
    backchannel_logout_session_required: sessionRequired,
  },
});
const twoSecrets = { client_secret: "not-yet-known", second_client_secret: SECRET };

/** By slug: what differs from a plain biller at a plain issuer. */
const BILLERS = {
  plain: {},
  basic: {
    client: { client_id: PRINTABLE_ASCII, client_secret: PRINTABLE_ASCII },
    oidc: { client_id: PRINTABLE_ASCII, client_secret: PRINTABLE_ASCII, token_auth: "client_secret_basic" },
  },
  post: tokenAuth("client_secret_post"),
  "private-key": privateKey(),
  "par-allowed": { issuer: { par: "allowed" } },
  "par-required": { issuer: { par: "required" } },
  "par-private-key": { ...privateKey(), issuer: { par: "required" } },
  "form-post": { oidc: { response_mode: "form_post" } },
  "prompt-login": { oidc: { prompt: "login" } },
  "max-age": { oidc: { max_age: 0 } },
  "acr-given": { oidc: { acr_values: [STRONG] }, issuer: { acr: STRONG } },
  "acr-missing": { oidc: { acr_values: [STRONG] } },
  "new-key": {},
  "other-key": {},
  "new-key-meanwhile": {},
  "other-key-meanwhile": {},
  "two-secrets": { oidc: twoSecrets },
  "two-secrets-post": {
    client: { token_endpoint_auth_method: "client_secret_post" },
    oidc: { ...twoSecrets, token_auth: "client_secret_post" },
  },
  "two-secrets-par": { oidc: twoSecrets, issuer: { par: "required" } },
  "own-key": {},
  "own-signing-key": privateKey(),
  "backchannel-sid": backchannelLogoutTo("backchannel-sid", true),
  "backchannel-sub": backchannelLogoutTo("backchannel-sub", false),
};

const world = useGateway(async (starting) => {
  const { gateway } = starting;
  const issuers = Object.entries(BILLERS).map(([name, { client, issuer }]) => ({
    name,
    clients: [
      {
        client_id: "signpost",
        client_secret: SECRET,
        redirect_uris: [`/callback/${name}`],
        post_logout_redirect_uris: ["/signed-out"],
        ...client,
      },
    ],
    ...issuer,
  }));
  const provider = await startIssuers({ gateway, issuers });
  starting.onStop(() => provider.close());
  starting.issuers = provider.issuers;
  const billers = Object.entries(BILLERS).map(([slug, { oidc }]) => ({
    slug,
    oidc: { issuer: provider.issuers[slug].url, client_id: "signpost", client_secret: SECRET, ...oidc },
  }));
  return { billers };
});

const signInAt = (visitor, slug) => enter(visitor, slug, { password: PASSWORD });

/** A journey for which it does not matter whether there are scripts. */
function journey(name, body) {
  world.journey(name, body, { scripts: [true] });
}

/** Up to the sign-in page of the issuer. */
async function begin({ page }, slug) {
  await page.goto(world.url(`/b/${slug}`));
  await step.expectHeading(page, `Sign in to ${slug}`);
}

async function finish(visitor, slug) {
  await step.signIn(visitor.page, "one-moved", PASSWORD);
  return expectPortal(visitor, slug);
}

async function isSignedIn(visitor, slug, page) {
  const answer = await world.verify(visitor, slug, page);
  if (answer.status === 200) assert.equal(answer["x-signpost-user"], "one-moved");
  else assert.equal(answer.status, 401);
  return answer.status === 200;
}

function statuses(slug, path) {
  return world.issuers[slug].requests(path).map(({ status }) => status);
}

/** The one request that an issuer got there. */
function onlyRequest(slug, path) {
  const found = world.issuers[slug].requests(path);
  assert.equal(found.length, 1, `${found.length} requests for ${path}`);
  return found[0];
}

journey("a client id and a secret of every printable character, by Basic authentication", async (visitor) => {
  const handoff = await signInAt(visitor, "basic");
  const issuer = world.issuers.basic;
  assert.equal(handoff.iss, issuer.url);
  assert.equal(handoff.sub, issuer.subject("one-moved"));
  const { status, authorization, clientSecret, clientAssertion } = onlyRequest("basic", "/token");
  assert.deepEqual([status, authorization, clientSecret, clientAssertion], [200, "Basic", false, undefined]);
  assert.equal(onlyRequest("basic", "/auth").query.client_id, PRINTABLE_ASCII);
  assert.equal((await signOut(visitor, "basic")).claims.aud, PRINTABLE_ASCII);
});

journey("a client secret in the form", async (visitor) => {
  await signInAt(visitor, "post");
  const { status, authorization, clientSecret } = onlyRequest("post", "/token");
  assert.deepEqual([status, authorization, clientSecret], [200, undefined, true]);
});

journey("a key of our own instead of a secret", async (visitor) => {
  await signInAt(visitor, "private-key");
  const { status, authorization, clientSecret, clientAssertion } = onlyRequest("private-key", "/token");
  assert.deepEqual([status, authorization, clientSecret], [200, undefined, false]);
  const [kid] = await world.publishedKeyIds();
  assert.equal(clientAssertion.header.alg, "ES256");
  assert.equal(clientAssertion.header.kid, kid);
  const { aud, iss, sub } = clientAssertion.claims;
  assert.deepEqual({ aud, iss, sub }, { aud: world.issuers["private-key"].url, iss: "signpost", sub: "signpost" });
});

for (const slug of ["par-allowed", "par-required", "par-private-key"]) {
  journey(`${slug}: the request is pushed, and the address is short`, async (visitor) => {
    await signInAt(visitor, slug);
    const pushed = onlyRequest(slug, "/request");
    assert.equal(pushed.status, 201);
    assert.ok(pushed.fields.includes("code_challenge"));
    const address = visitor.requests.find((url) => url.startsWith(`${world.issuers[slug].url}/auth?`));
    assert.deepEqual([...new URL(address).searchParams.keys()].sort(), ["client_id", "request_uri"]);
    assert.equal(onlyRequest(slug, "/token").status, 200);
    if (slug === "par-private-key") assert.equal(pushed.clientAssertion.claims.aud, world.issuers[slug].url);
    else assert.equal(pushed.authorization, "Basic");
  });
}

for (const js of [false, true]) {
  /** The provider's page with the answer: it sends itself, or waits for a click. */
  const answer = async (page) => {
    if (!js) await page.getByRole("button", { name: "Continue" }).click();
  };
  const only = { scripts: [js] };

  const answered = async (visitor) => {
    await step.signIn(visitor.page, "one-moved", PASSWORD);
    await answer(visitor.page);
  };

  world.journey("the answer comes as a form", async (visitor) => {
    const codes = [];
    visitor.context.on("request", (request) => {
      if (request.method() !== "POST" || !request.url().startsWith(world.url("/callback/"))) return;
      codes.push(new URLSearchParams(request.postData()).get("code"));
    });
    await begin(visitor, "form-post");
    await answered(visitor);
    await expectPortal(visitor, "form-post");
    assert.equal(codes.length, 1);
    assert.ok(codes[0].length > 20, "no code");
    const ours = visitor.requests.filter((url) => url.startsWith(world.gateway));
    for (const url of ours) {
      assert.ok(!url.includes(codes[0]), "the code stands in an address");
      assert.equal(new URL(url).searchParams.get("code"), null);
    }
    assert.ok(await isSignedIn(visitor, "form-post"));
  }, only);

  world.journey("the answer comes as a form to a browser that lost its cookies once", async (visitor) => {
    await begin(visitor, "form-post");
    await visitor.context.clearCookies({ domain: "localhost" });
    await answered(visitor);
    // Begun again by itself; the provider remembers who it is.
    await answer(visitor.page);
    await expectPortal(visitor, "form-post");
    assert.equal(authorizationCount(visitor), 2);
  }, only);

  world.journey("the answer comes as a form to a browser that loses its cookies every time", async (visitor) => {
    await visitor.context.route(world.url("/callback/**"), async (route) => {
      await visitor.context.clearCookies({ domain: "localhost" });
      await route.continue();
    });
    await begin(visitor, "form-post");
    await answered(visitor);
    await answer(visitor.page);
    await step.expectHeading(visitor.page, "Your browser did not keep this sign-in");
    await step.expectHelp(visitor.page);
    assert.equal(authorizationCount(visitor), 2);
    await visitor.context.unroute(world.url("/callback/**"));
    await visitor.page.locator("main a.button").click();
    await answer(visitor.page);
    await expectPortal(visitor, "form-post");
  }, only);
}

/** Signs out here; the issuer asks. Answers the ID token of the sign-in, which goes back to the issuer. */
async function signOut({ page }, slug) {
  await page.goto(world.url(`/logout?biller=${slug}`));
  await page.getByRole("button", { name: `Sign out of ${slug}` }).click();
  await step.expectHeading(page, "Do you want to sign out?");
  return parseIdTokenHint(page.url());
}

/** How often the browser was sent to the issuer. */
function authorizationCount(visitor) {
  return visitor.requests.filter((url) => url.startsWith(`${world.issuers["form-post"].url}/auth?`)).length;
}

journey("prompt=login: the password is asked for every time", async (visitor) => {
  await signInAt(visitor, "plain");
  await visitor.page.goto(world.url("/b/plain"));
  await expectPortal(visitor, "plain");

  await signInAt(visitor, "prompt-login");
  await begin(visitor, "prompt-login");
  await finish(visitor, "prompt-login");
  for (const { query } of world.issuers["prompt-login"].requests("/auth")) assert.equal(query.prompt, "login");
  assert.deepEqual(statuses("prompt-login", "/token"), [200, 200]);
});

journey("max_age: signed in too long ago is asked again, and the portal learns when", async (visitor) => {
  const first = await signInAt(visitor, "max-age");
  const now = () => Math.floor(Date.now() / 1000);
  assert.ok(now() - first.auth_time < 60, `auth_time ${first.auth_time}`);
  await waitUntil(() => now() > first.auth_time, "a second passes");
  await begin(visitor, "max-age");
  const second = await finish(visitor, "max-age");
  assert.ok(second.auth_time > first.auth_time);
  assert.equal(second.auth_time, (await signOut(visitor, "max-age")).claims.auth_time);
  for (const { query } of world.issuers["max-age"].requests("/auth")) assert.equal(query.max_age, "0");
});

journey("acr_values: as strong as asked", async (visitor) => {
  await signInAt(visitor, "acr-given");
  assert.equal(onlyRequest("acr-given", "/auth").query.acr_values, STRONG);
});

journey("acr_values: a sign-in that is not as strong as asked is refused", async (visitor) => {
  visitor.expectedStatuses.add(502);
  await begin(visitor, "acr-missing");
  await step.signIn(visitor.page, "one-moved", PASSWORD);
  await step.expectHeading(visitor.page, "Signing in did not work");
  await step.expectHelp(visitor.page);
  assert.deepEqual(statuses("acr-missing", "/token"), [200]);
  assert.equal(await isSignedIn(visitor, "acr-missing"), false);
});

for (const [slug, keepOld] of [["new-key", true], ["other-key", false]]) {
  const kept = keepOld ? "the old one stays published" : "the old one goes";
  journey(`the issuer signs with a new key at the second sign-in, ${kept}`, async (visitor) => {
    await signInAt(visitor, slug);
    const kid = world.issuers[slug].rotateKeys({ keepOld });
    await visitor.page.goto(world.url(`/b/${slug}`));
    await expectPortal(visitor, slug);
    assert.equal((await signOut(visitor, slug)).header.kid, kid);
  });

  journey(`the issuer signs with a new key in the middle of a sign-in, ${kept}`, async (visitor) => {
    await begin(visitor, `${slug}-meanwhile`);
    world.issuers[`${slug}-meanwhile`].rotateKeys({ keepOld });
    await finish(visitor, `${slug}-meanwhile`);
    assert.ok(await isSignedIn(visitor, `${slug}-meanwhile`));
  });
}

for (const slug of ["two-secrets", "two-secrets-post"]) {
  journey(`${slug}: the second one is tried when the first is refused`, async (visitor) => {
    await signInAt(visitor, slug);
    assert.deepEqual(statuses(slug, "/token"), [401, 200]);
  });
}

journey("two-secrets-par: the second one is tried when the first is refused", async (visitor) => {
  await signInAt(visitor, "two-secrets-par");
  assert.deepEqual(statuses("two-secrets-par", "/request"), [401, 201]);
  assert.deepEqual(statuses("two-secrets-par", "/token"), [401, 200]);
});

journey("our own keys are changed in the middle of a sign-in", async (visitor) => {
  await begin(visitor, "own-key");
  const [before] = await world.publishedKeyIds();
  await world.command("secrets", "rotate");
  await waitUntil(async () => (await world.publishedKeyIds())[0] !== before, "the new key is in use");
  await finish(visitor, "own-key");
  assert.ok(await isSignedIn(visitor, "own-key"));
  assert.ok((await world.publishedKeyIds()).includes(before), "the old key is no longer published");
});

journey("a signing key of our own that was prepared is known when it is put to use", async (visitor) => {
  // The provider keeps our keys for a minute: those that it reads here must do for both sign-ins.
  const published = (await world.publishedKeyIds()).length;
  await world.command("secrets", "prepare");
  await waitUntil(async () => (await world.publishedKeyIds()).length > published, "the next key is published");
  const [before, next] = await world.publishedKeyIds();
  await signInAt(visitor, "own-signing-key");
  await world.command("secrets", "rotate");
  await waitUntil(async () => (await world.publishedKeyIds())[0] === next, "the next key is in use");
  await visitor.page.goto(world.url("/b/own-signing-key"));
  await expectPortal(visitor, "own-signing-key");
  const kids = world.issuers["own-signing-key"].requests("/token").map((entry) => entry.clientAssertion.header.kid);
  assert.deepEqual(kids, [before, next]);
});

journey("signing out ends both sides", async (visitor) => {
  const { page } = visitor;
  await signInAt(visitor, "plain");
  assert.ok(await isSignedIn(visitor, "plain"));
  await page.goto(world.url("/logout"));
  await page.getByRole("button", { name: "Sign out of plain" }).click();
  await step.expectHeading(page, "Do you want to sign out?");
  await page.getByRole("button", { name: "Sign out", exact: true }).click();
  await step.expectHeading(page, "You are signed out of plain");
  assert.equal(step.urlWithoutQuery(page), world.url("/signed-out"));
  await step.expectHelp(page);
  assert.equal(await isSignedIn(visitor, "plain"), false);
  await begin(visitor, "plain");
});

for (const [slug, named] of [["backchannel-sid", "the session"], ["backchannel-sub", "the person"]]) {
  journey(`signing out at the issuer, which names ${named}, ends our session within a second`, async (visitor) => {
    await signInAt(visitor, slug);
    await signInAt(visitor, "plain");
    const page = await visitor.context.newPage();
    assert.ok(await isSignedIn(visitor, slug, page));
    const start = performance.now();
    const deliveries = await world.issuers[slug].signOut("one-moved");
    const stillIn = await isSignedIn(visitor, slug, page);
    const took = performance.now() - start;
    assert.deepEqual(deliveries.map(({ error }) => error), [undefined]);
    assert.equal(stillIn, false);
    assert.ok(took < 1000, `${took} ms`);
    assert.ok(await isSignedIn(visitor, "plain", page), "the session at another biller ended too");
  });
}

for (const first of ["a sign-in that begins", "a sign-in under way", "a session"]) {
  journey(`the kill switch counts for the next request: ${first}`, async (visitor) => {
    const { page } = visitor;
    await (first === "a session" ? signInAt : begin)(visitor, "plain");
    await world.command("kill-switch", "all-legacy");
    try {
      if (first === "a session") {
        assert.equal(await isSignedIn(visitor, "plain"), false);
      } else if (first === "a sign-in under way") {
        await step.signIn(page, "one-moved", PASSWORD);
        await step.expectHeading(page, "This sign-in page is not in use at the moment");
        await step.expectHelp(page);
        await page.locator("main a.button").click();
        await step.expectHeading(page, "Legacy portal");
      } else {
        await page.goto(world.url("/b/plain"));
        await step.expectHeading(page, "Legacy portal");
        assert.ok(page.url().startsWith(`${world.portal.origin}/legacy?token=`));
      }
    } finally {
      await world.command("kill-switch", "off");
    }
    const other = await visitor.inAnotherBrowser();
    await signInAt(other, "plain");
    if (first === "a session") assert.ok(await isSignedIn(visitor, "plain"), "the session did not come back");
  });
}
