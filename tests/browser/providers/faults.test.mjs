// Providers that are not ours, and mistakes in how they are set up: what the customer, the log, the decision record, service
// health and the readiness check say about each. One biller per provider and fault.

import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { faultInHealth, findings, logLength, reasonInLog, reasonInRecord, text } from "../lib/diagnosis.mjs";
import { expectPortal, useGateway, waitUntil } from "../lib/gateway.mjs";
import { PASSWORD, START_TIMEOUT, startProvider } from "../lib/providers.mjs";
import * as step from "../lib/steps.mjs";
import { HERE } from "../lib/world.mjs";

const SECRET = "a secret: 100 % + more";
/** In seconds. Beyond what any check of a time allows. */
const CLOCK_OFF = 15 * 60;
/** In seconds. Sign-ins work, and operators are warned. */
const CLOCK_DRIFT = 90;

/**
 * By name: `script` and `path` of its issuer; `pushed` if it gets authorization requests pushed (RFC 9126); `signIn` and `signOut`
 * do what a person does on its pages; `refusal` is what its page says about a request that it refuses, and `asksFirst` that it
 * asks who it is before; `ignored` names warnings of the readiness check that it always gets; `words` replaces reason words for faults that this provider does not tell apart.
 */
const PROVIDERS = {
  django: {
    script: "django-oauth-toolkit",
    path: "/o",
    // It asks who it is before it looks at the request, so that the check cannot try one.
    ignored: ["redirect_uri"],
    asksFirst: true,
    refusal: "Error: invalid_request",
    async signIn(page) {
      await page.getByLabel("Username:").fill("one-moved");
      await page.getByLabel("Password:").fill(PASSWORD);
      await page.getByRole("button", { name: "Sign in" }).click();
    },
    signOut: (page) => page.locator("input[name=allow]").click(),
  },
  // It does not decode client id and secret in the Authorization header (RFC 6749, section 2.3.1), and answers every refused
  // authorization request that was pushed with 403 and an empty body.
  glewlwyd: {
    script: "glewlwyd",
    path: "/api/oidc",
    pushed: true,
    ignored: ["redirect_uri", "credentials"],
    oidc: { token_auth: "client_secret_post" },
    words: { invalid_client: "par_rejected", invalid_redirect_uri: "par_rejected" },
    async signIn(page) {
      await page.getByLabel("Login").fill("one-moved");
      await page.getByLabel("Password").fill(PASSWORD);
      await page.getByLabel("Password").press("Enter");
      await page.getByRole("button", { name: "Continue" }).click();
    },
    signOut: (page) => page.getByRole("button", { name: "Logout" }).click(),
  },
  canaille: {
    script: "canaille",
    path: "",
    asksFirst: true,
    refusal: /Page not found|Bad request/,
    // Its ID tokens live longer than what is too old for us.
    words: { expired: "iat_too_old" },
    // It sends the claim without naming it in `claims_supported`.
    ignored: ["claim"],
    async signIn(page) {
      await page.getByRole("textbox", { name: "Login" }).fill("one-moved");
      await page.getByRole("button", { name: "Continue" }).click();
      await page.getByRole("textbox", { name: "Password" }).fill(PASSWORD);
      await page.getByRole("button", { name: "Sign in" }).click();
    },
    signOut: async () => {},
  },
  userinfo: { script: "oidc-provider", path: "/userinfo", ...oidcProvider() },
  pushed: { script: "oidc-provider", path: "/pushed", pushed: true, ...oidcProvider() },
};

function oidcProvider() {
  return {
    refusal: "Sorry",
    signIn: (page) => step.signIn(page, "one-moved", PASSWORD),
    signOut: (page) => page.getByRole("button", { name: "Sign out", exact: true }).click(),
  };
}

/**
 * By name: what is wrong (`oidc` and `issuer` of the biller, `clock` of the provider), and what is said about it.
 * - `reason`: in log, decision record and service health.
 * - `customer`: "portal", "setup fault" (our page), or "provider" (its own page; then only the readiness check can know).
 * - `before`: the fault shows before the provider's sign-in page.
 * - `advice`: what the finding of the readiness check names, each value in full; its status is `readiness`.
 */
const FAULTS = {
  "wrong-secret": ({ pushed }) => ({
    oidc: { client_secret: "another" },
    before: pushed,
    isUnfinished: !pushed,
    reason: "invalid_client",
    customer: "setup fault",
    readiness: "fail",
    advice: [/secret/],
  }),
  "wrong-client": ({ pushed }) => ({
    oidc: { client_id: "unknown" },
    before: pushed,
    ...(pushed ? { reason: "invalid_client", customer: "setup fault" } : { customer: "provider" }),
    readiness: "fail",
    advice: [/\bunknown\b/],
  }),
  "wrong-redirect": ({ pushed, slug }) => ({
    oidc: { client_id: "elsewhere" },
    before: pushed,
    ...(pushed ? { reason: "invalid_redirect_uri", customer: "setup fault" } : { customer: "provider" }),
    readiness: "fail",
    advice: [new RegExp(`/callback/${slug}\\b`), /\belsewhere\b/],
  }),
  "wrong-issuer": () => ({
    issuer: (issuer) => `${issuer}/`,
    before: true,
    reason: "discovery_issuer_mismatch",
    customer: "setup fault",
    readiness: "fail",
    advice: [/http:\/\/127\.0\.0\.1:[\w/]*\/(?!\w)/, /http:\/\/127\.0\.0\.1:[\w/]*\w(?![\w/])/],
  }),
  "wrong-algorithm": () => ({
    oidc: { id_token_algs: ["ES256"] },
    before: true,
    reason: "discovery_algorithm_mismatch",
    customer: "setup fault",
    readiness: "fail",
    advice: [/\bRS256\b/, /\bES256\b/, /id_token_algs/],
  }),
  "clock-ahead": () => ({
    clock: CLOCK_OFF,
    isUnfinished: true,
    reason: "iat_in_future",
    customer: "setup fault",
    readiness: "fail",
    advice: [/clock/, /ahead/],
  }),
  "clock-behind": () => ({
    clock: -CLOCK_OFF,
    isUnfinished: true,
    reason: "expired",
    customer: "setup fault",
    readiness: "fail",
    advice: [/clock/, /behind/],
  }),
  "clock-drift": () => ({
    clock: -CLOCK_DRIFT,
    isUnfinished: true,
    reason: "clock_drift",
    customer: "portal",
    readiness: "warning",
    advice: [/clock/, /behind/],
  }),
};

const NAMES = process.env.ONLY?.split(",") ?? Object.keys(PROVIDERS);
const CASES = NAMES.flatMap((provider) =>
  Object.entries(FAULTS).map(([fault, of]) => {
    const slug = `${provider}-${fault}`;
    const said = of({ ...PROVIDERS[provider], slug });
    // An answer without an error code.
    const isUnfinished = said.isUnfinished || PROVIDERS[provider].words?.[said.reason] === "par_rejected";
    return { slug, provider: PROVIDERS[provider], ...said, isUnfinished };
  }),
);

const world = useGateway(async (starting) => {
  const { gateway } = starting;
  const slugs = [...NAMES, ...CASES.map(({ slug }) => slug)];
  const client = { client_secret: SECRET, post_logout_redirect_uris: [`${gateway}/signed-out`] };
  const clients = [
    { ...client, client_id: "signpost", redirect_uris: slugs.map((slug) => `${gateway}/callback/${slug}`) },
    { ...client, client_id: "elsewhere", redirect_uris: [`${gateway}/callback/elsewhere`] },
  ];
  const scripts = [...new Map(Object.values(PROVIDERS).map(({ script, path }) => [script, path]))];
  const start = async ([script, issuerPath], index) => {
    return [script, await startProvider(starting, script, { offset: index + 1, issuerPath, clients })];
  };
  starting.providers = Object.fromEntries(await Promise.all(scripts.map(start)));
  const biller = (slug, { script, path, oidc }, issuer = (url) => url, faulty = {}) => {
    const url = issuer(starting.providers[script].origin + path);
    return { slug, oidc: { issuer: url, client_id: "signpost", client_secret: SECRET, ...oidc, ...faulty } };
  };
  return {
    billers: [
      ...NAMES.map((name) => biller(name, PROVIDERS[name])),
      ...CASES.map(({ slug, provider, issuer, oidc }) => biller(slug, provider, issuer, oidc)),
    ],
    withoutUsers: CASES.filter(({ customer }) => customer !== "portal").map(({ slug }) => slug),
  };
}, { timeout: START_TIMEOUT + 60_000 });

/** Until this page exists, the readiness check knows neither credentials nor clocks, and its findings name one value only. */
const DIAGNOSIS = join(HERE, "../../docs/reference/diagnosis.md");
const isComplete = existsSync(DIAGNOSIS);
const unfinished = isComplete ? {} : { todo: "docs/reference/diagnosis.md is missing" };

function journey(name, body, options = {}) {
  test(name, { timeout: 90_000, ...options }, async () => {
    const visitor = await world.newVisitor();
    try {
      await body(visitor);
    } catch (error) {
      throw await visitor.explain(name, error);
    } finally {
      await visitor.close();
    }
  });
}

const seconds = () => Math.floor(Date.now() / 1000);
let lastSignIn = 0;

/** Canaille fails at the second of two sign-ins in one second: it makes the same access token again. */
async function signIn(page, provider) {
  await waitUntil(() => seconds() > lastSignIn, "a second passes");
  await provider.signIn(page);
}

for (const name of NAMES) {
  journey(`${name}: sign-in and logout`, (visitor) => signInAndOut(visitor, name));
}

async function signInAndOut(visitor, name) {
  const { page } = visitor;
  const provider = PROVIDERS[name];
  await page.goto(world.url(`/b/${name}`));
  await signIn(page, provider);
  const handoff = await expectPortal(visitor, name);
  lastSignIn = seconds();
  assert.equal(handoff.iss, world.providers[provider.script].origin + provider.path);
  const { status, "x-signpost-user": user } = await world.verify(visitor, name);
  assert.deepEqual([status, user], [200, "one-moved"]);
  assert.deepEqual(await seenByOperators(name, provider), { log: null, health: null, readiness: "pass", advice: "" });

  await page.goto(world.url("/logout"));
  await page.getByRole("button", { name: `Sign out of ${name}` }).click();
  await provider.signOut(page);
  await step.expectHeading(page, `You are signed out of ${name}`);
  assert.equal((await world.verify(visitor, name)).status, 401);
  // The provider asks again who it is.
  await page.goto(world.url(`/b/${name}`));
  await signIn(page, provider);
  await expectPortal(visitor, name);
  lastSignIn = seconds();
}

for (const { slug, clock = 0, isUnfinished, ...expected } of CASES) {
  const { script } = expected.provider;
  const body = async ({ page }) => {
    const { setClock } = world.providers[script];
    if (clock) await setClock(clock);
    try {
      await runInto(page, slug, expected);
    } finally {
      if (clock) await setClock(0);
    }
  };
  journey(slug, body, isUnfinished ? unfinished : {});
}

async function runInto(page, slug, { provider, before, customer, reason, readiness, advice }) {
  const start = logLength();
  await page.goto(world.url(`/b/${slug}`));
  const asks = !before && (customer !== "provider" || provider.asksFirst);
  if (asks) await signIn(page, provider);
  lastSignIn = seconds();
  const seen = customer === "provider" ? await refusal(page, provider) : await ownPage(page, slug);
  const { advice: given, ...operators } = await seenByOperators(slug, provider, start);
  const word = provider.words?.[reason] ?? reason ?? null;
  const record = customer === "setup fault" ? word : null;
  const expected = { customer, record, log: word, health: word, readiness };
  assert.deepEqual({ ...seen, ...operators }, expected, given);
  if (isComplete) for (const value of advice) assert.match(given, value);
}

/** The provider's own page for a request that it refuses, of which the gateway learns nothing. */
async function refusal(page, provider) {
  await page.getByText(provider.refusal).first().waitFor();
  return { customer: "provider", record: null };
}

/** A page of the gateway, or the portal. */
async function ownPage(page, slug) {
  const isOurs = ({ origin, pathname }) => origin === world.portal.origin || /^\/(b|callback)\//.test(pathname);
  await page.waitForURL(isOurs);
  const heading = await page.getByRole("heading", { level: 1 }).innerText();
  if (page.url().startsWith(world.portal.origin)) return { customer: "portal", record: null };
  const isSetupFault = heading === text("error-setup-fault", slug);
  if (isSetupFault) assert.doesNotMatch(await page.locator("main").innerText(), /few minutes/);
  return { customer: isSetupFault ? "setup fault" : heading, record: await reasonInRecord(world, page) };
}

/** What operators find out about a biller. */
async function seenByOperators(slug, { ignored = [] }, start = 0) {
  const found = (await findings(world, slug)).filter(({ name, status }) => status === "fail" || !ignored.includes(name));
  return {
    log: reasonInLog(slug, start),
    health: await faultInHealth(world, slug),
    readiness: found.some(({ status }) => status === "fail") ? "fail" : (found[0]?.status ?? "pass"),
    advice: found.map(({ advice }) => advice).join(" "),
  };
}

/** The reason words of the table, which is the first column of each row. */
function documentedReasons() {
  const rows = readFileSync(DIAGNOSIS, "utf8").matchAll(/^\| `(\w+)` \|/gm);
  return [...rows].map(([, word]) => word);
}

test("every row of the table of diagnoses was run into, here or in a test of the program", unfinished, () => {
  const folder = join(HERE, "../it");
  const tests = readdirSync(folder).filter((file) => file.endsWith(".rs"));
  const program = tests.map((file) => readFileSync(join(folder, file), "utf8")).join("");
  const seen = new Set(CASES.map(({ reason, provider }) => provider.words?.[reason] ?? reason));
  const documented = documentedReasons();
  assert.ok(documented.length > 5, `${documented.length} rows`);
  assert.deepEqual(documented.filter((word) => !seen.has(word) && !program.includes(`"${word}"`)), []);
  assert.deepEqual([...seen].filter((word) => word && !documented.includes(word)), [], "not in the table");
});
