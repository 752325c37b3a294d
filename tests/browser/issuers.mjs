// Several OpenID Connect issuers in one process, each below its own path of one loopback port. They are the npm package
// oidc-provider, certified and not ours, so that the journeys do not only meet our own stand-in.

import { createHash, generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import Provider from "oidc-provider";

/** Signs everybody in, whatever the username. */
export const PASSWORD = "correct horse";

/** Every printable character of ASCII: the worst client secret that RFC 6749 allows. */
export const PRINTABLE_ASCII = String.fromCharCode(...Array.from({ length: 0x7f - 0x20 }, (_, index) => 0x20 + index));

const DAY = 24 * 60 * 60;
const KEY_TYPES = {
  RS256: ["rsa", { modulusLength: 2048 }],
  PS256: ["rsa", { modulusLength: 2048 }],
  ES256: ["ec", { namedCurve: "P-256" }],
  EdDSA: ["ed25519", {}],
};
/** Errors that an entry of the log explains. */
const ERRORS = [
  "authorization.error",
  "end_session.error",
  "end_session_confirm.error",
  "grant.error",
  "pushed_authorization_request.error",
  "server_error",
  "userinfo.error",
];

/**
 * Starts the issuers at `http://127.0.0.1:{port}/{name}`; without a port, at a free one.
 *
 * Every issuer is `{ name, clients, acr, alg, par, logout, backchannelLogout, configuration }`:
 * - `clients`: client metadata. Addresses that start with a slash are the gateway's; a client of `private_key_jwt` gets
 *   the gateway's keys and ES256, unless it says otherwise.
 * - `acr`: what a sign-in here is worth; nothing.
 * - `alg`: what ID tokens are signed with (RS256, PS256, ES256 or EdDSA); RS256.
 * - `par`: pushed authorization requests, "off", "allowed" or "required"; "off".
 * - `logout`: RP-initiated logout; true.
 * - `backchannelLogout`: true if a client has an address for it.
 * - `configuration`: more settings of oidc-provider.
 */
export async function startIssuers({ port = 0, gateway, issuers }) {
  const log = [];
  const started = new Map();
  const server = createServer((request, response) => {
    const issuer = started.get(request.url.split(/[/?]/)[1]);
    if (issuer) issuer.handle(request, response);
    else response.writeHead(404).end();
  });
  await new Promise((done, fail) => server.once("error", fail).listen(port, "127.0.0.1", done));
  const origin = `http://127.0.0.1:${server.address().port}`;
  const close = () =>
    new Promise((done) => {
      server.close(done);
      server.closeAllConnections();
    });
  try {
    for (const settings of issuers) started.set(settings.name, new Issuer(settings, { origin, gateway, log }));
  } catch (error) {
    await close();
    throw error;
  }
  return { close, log, origin, issuers: Object.fromEntries(started) };
}

class Issuer {
  #accounts = new Map();
  #configuration;
  #keys;
  #listener;
  #log;
  #provider;
  #store = new Store();

  constructor(settings, { origin, gateway, log }) {
    this.name = settings.name;
    this.path = `/${settings.name}`;
    this.url = origin + this.path;
    this.acr = settings.acr;
    this.alg = settings.alg ?? "RS256";
    this.#log = log;
    this.#configuration = this.#configure(settings, gateway);
    this.#keys = [newKey(this.alg)];
    this.#rebuildProvider();
  }

  /** The key ids that are published, the one that signs first. */
  get kids() {
    return this.#keys.map((key) => key.kid);
  }

  /** What the log has of this issuer below a path, as "/token". */
  requests(path) {
    return this.#log.filter((entry) => entry.issuer === this.name && entry.path === path);
  }

  /** The subject of a username here. */
  subject(username) {
    return createHash("sha256").update(`${this.url} ${username}`).digest("hex").slice(0, 32);
  }

  /** Signs with a new key from now on; the old keys stay published, or go. Sessions, grants and codes live on. */
  rotateKeys({ keepOld = true } = {}) {
    this.#keys = [newKey(this.alg), ...(keepOld ? this.#keys : [])];
    this.#rebuildProvider();
    return this.kids[0];
  }

  /** Ends somebody's sessions from this side, and tells the clients; returns what became of every message. */
  async signOut(username) {
    const deliveries = [];
    for (const { uid } of this.#store.sessionsOf(this.subject(username))) {
      const session = await this.#provider.Session.findByUid(uid);
      if (!session) continue;
      for (const clientId of Object.keys(session.authorizations ?? {})) {
        const client = await this.#provider.Client.find(clientId);
        if (!client?.backchannelLogoutUri) continue;
        const sid = session.sidFor(clientId);
        const error = await client.backchannelLogout(session.accountId, sid).then(() => undefined, String);
        deliveries.push(this.#recordLogout(clientId, session.accountId, sid, error));
      }
      await session.destroy();
    }
    return deliveries;
  }

  handle(request, response) {
    const url = new URL(request.url, this.url);
    const entry = {
      issuer: this.name,
      method: request.method,
      path: url.pathname.slice(this.path.length),
      query: Object.fromEntries(url.searchParams),
      authorization: request.headers.authorization?.split(" ")[0],
    };
    this.#log.push(entry);
    response.once("finish", () => (entry.status = response.statusCode));
    request.entry = entry;
    // This is how oidc-provider finds out below which path it is mounted.
    request.originalUrl = request.url;
    request.url = request.url.slice(this.path.length) || "/";
    if (!entry.path.startsWith("/interaction/")) return this.#listener(request, response);
    return this.#interact(request, response).catch((error) => {
      entry.error = String(error);
      send(response, error.statusCode ?? 500, "Sorry", `<p role="alert">${escape(entry.error)}</p>`);
    });
  }

  /** A provider's keys are settled once and for all; so new keys need a new one, over the same store. */
  #rebuildProvider() {
    const provider = new Provider(this.url, { ...this.#configuration, jwks: { keys: this.#keys } });
    provider.use(async (ctx, next) => {
      await next();
      this.#recordBody(ctx);
    });
    for (const name of ERRORS) provider.on(name, (ctx, error) => recordError(ctx.req.entry, error));
    provider.on("backchannel.success", (_, client, sub, sid) => this.#recordLogout(client.clientId, sub, sid));
    provider.on("backchannel.error", (_, error, client, sub, sid) => {
      this.#recordLogout(client.clientId, sub, sid, String(error));
    });
    this.#provider = provider;
    this.#listener = provider.callback();
  }

  /** What the body said, as far as tests ask: how the client proved itself, and which fields it sent. */
  #recordBody(ctx) {
    const form = ctx.oidc?.body;
    if (!form) return;
    const { entry } = ctx.req;
    entry.fields = Object.keys(form);
    entry.grant = form.grant_type;
    entry.clientSecret = "client_secret" in form;
    entry.clientAssertion = typeof form.client_assertion === "string" ? decode(form.client_assertion) : undefined;
  }

  #recordLogout(client, sub, sid, error) {
    const entry = { issuer: this.name, event: "backchannel-logout", client, sub, sid, error };
    this.#log.push(entry);
    return entry;
  }

  #configure(settings, gateway) {
    const clients = settings.clients.map((client) => completeClient(client, gateway));
    const { par = "off", logout = true, configuration = {} } = settings;
    const { backchannelLogout = clients.some((client) => client.backchannel_logout_uri) } = settings;
    return {
      acrValues: this.acr ? [this.acr] : [],
      adapter: this.#store.adapter,
      claims: {
        openid: ["sub", "preferred_username"],
        profile: ["name"],
        email: ["email", "email_verified"],
      },
      clientBasedCORS: () => false,
      clientDefaults: { id_token_signed_response_alg: this.alg },
      clients,
      // Claims belong in the ID token: not everybody asks userinfo.
      conformIdTokenClaims: false,
      // Every issuer shares the host's cookies with the others.
      cookies: {
        keys: [randomBytes(32).toString("hex")],
        names: {
          session: `${this.name}_session`,
          interaction: `${this.name}_interaction`,
          resume: `${this.name}_resume`,
        },
        long: { httpOnly: true, sameSite: "lax", path: this.path },
        short: { httpOnly: true, sameSite: "lax" },
      },
      // oidc-provider's own dispatcher refuses loopback addresses.
      fetch: (url, { dispatcher, ...options }) => fetch(url, options),
      findAccount: (_, sub) => this.#account(sub),
      interactions: { url: (_, interaction) => `${this.path}/interaction/${interaction.uid}` },
      loadExistingGrant: grantEverything,
      pkce: { required: () => true },
      renderError: (ctx, out) => {
        const rows = Object.entries(out).map(([key, value]) => `<p id="${escape(key)}">${escape(value)}</p>`);
        ctx.type = "html";
        ctx.body = html("Sorry", rows.join(""));
      },
      ttl: { AccessToken: 600, Grant: DAY, IdToken: 600, Interaction: 600, Session: DAY },
      ...configuration,
      features: {
        backchannelLogout: { enabled: Boolean(backchannelLogout) },
        devInteractions: { enabled: false },
        dPoP: { enabled: false },
        pushedAuthorizationRequests: {
          enabled: par !== "off",
          requirePushedAuthorizationRequests: par === "required",
        },
        resourceIndicators: { enabled: false },
        rpInitiatedLogout: { enabled: logout, logoutSource, postLogoutSuccessSource },
        ...configuration.features,
      },
    };
  }

  #account(sub) {
    const username = this.#accounts.get(sub);
    if (username === undefined) return undefined;
    const email = `${username}@${this.name}.example`;
    const claims = { sub, preferred_username: username, name: `Person ${username}`, email, email_verified: true };
    return { accountId: sub, claims: () => claims };
  }

  /** The sign-in page, and what it sends. */
  async #interact(request, response) {
    const { prompt, params } = await this.#provider.interactionDetails(request, response);
    if (prompt.name === "consent") {
      await this.#provider.interactionFinished(request, response, { consent: {} });
      return;
    }
    if (request.method !== "POST") {
      sendSignIn(response, this.name, params.login_hint ?? "");
      return;
    }
    const form = await readForm(request);
    const username = form.get("username") ?? "";
    if (!username || form.get("password") !== PASSWORD) {
      sendSignIn(response, this.name, username, "Wrong username or password");
      return;
    }
    const sub = this.subject(username);
    this.#accounts.set(sub, username);
    await this.#provider.interactionFinished(request, response, { login: { accountId: sub, acr: this.acr } });
  }
}

/** The tables of one issuer, which outlive its provider. */
class Store {
  #rows = new Map();

  adapter = (model) => {
    const rows = this.#rows;
    const id = (key) => `${model} ${key}`;
    const live = (row) => (row && row.expires > Date.now() ? structuredClone(row.payload) : undefined);
    const mine = () => [...rows].filter(([, row]) => row.model === model);
    const findBy = (field, value) => live(mine().find(([, { payload }]) => payload[field] === value)?.[1]);
    return {
      async upsert(key, payload, seconds = Infinity) {
        rows.set(id(key), { model, payload: structuredClone(payload), expires: Date.now() + 1000 * seconds });
      },
      find: async (key) => live(rows.get(id(key))),
      findByUid: async (uid) => findBy("uid", uid),
      findByUserCode: async (code) => findBy("userCode", code),
      async consume(key) {
        rows.get(id(key)).payload.consumed = Math.floor(Date.now() / 1000);
      },
      async destroy(key) {
        rows.delete(id(key));
      },
      async revokeByGrantId(grant) {
        for (const [key, { payload }] of mine()) if (payload.grantId === grant) rows.delete(key);
      },
    };
  };

  sessionsOf(sub) {
    const sessions = [...this.#rows.values()].filter(({ model }) => model === "Session");
    return sessions.map(({ payload }) => payload).filter(({ accountId }) => accountId === sub);
  }
}

function newKey(alg) {
  const { privateKey } = generateKeyPairSync(...KEY_TYPES[alg]);
  return { ...privateKey.export({ format: "jwk" }), alg, use: "sig", kid: randomBytes(8).toString("hex") };
}

function completeClient(client, gateway) {
  const here = (value) => {
    if (Array.isArray(value)) return value.map(here);
    return typeof value === "string" && value.startsWith("/") ? new URL(value, gateway).href : value;
  };
  const all = Object.fromEntries(
    Object.entries(client).map(([key, value]) => [key, /_uris?$/.test(key) ? here(value) : value]),
  );
  if (all.token_endpoint_auth_method === "private_key_jwt") {
    all.token_endpoint_auth_signing_alg ??= "ES256";
    if (!all.jwks) all.jwks_uri ??= here("/.well-known/jwks.json");
  }
  return all;
}

/** Nobody is asked for consent: what a client asks for is granted. */
async function grantEverything(ctx) {
  const { account, client, params, provider, session } = ctx.oidc;
  const id = session.grantIdFor(client.clientId);
  const found = id && (await provider.Grant.find(id));
  const grant = found || new provider.Grant({ clientId: client.clientId, accountId: account.accountId });
  grant.addOIDCScope(params.scope);
  await grant.save();
  return grant;
}

function recordError(entry, error) {
  entry.error = error.error ?? String(error);
  entry.detail = error.error_detail ?? error.error_description;
}

/** The header and the claims of a JWT, unverified. */
function decode(jwt) {
  const [header, claims] = jwt.split(".").map((part) => Buffer.from(part, "base64url").toString());
  try {
    return { header: JSON.parse(header), claims: JSON.parse(claims) };
  } catch {
    return { header: {}, claims: {} };
  }
}

async function readForm(request) {
  let body = "";
  for await (const chunk of request) body += chunk;
  return new URLSearchParams(body);
}

function sendSignIn(response, name, username, problem) {
  const alert = problem ? `<p role="alert">${escape(problem)}</p>` : "";
  const body = `${alert}<form method="post">
      <p><label for="username">Username</label>
      <input id="username" name="username" autocomplete="username" value="${escape(username)}"></p>
      <p><label for="password">Password</label>
      <input id="password" name="password" type="password" autocomplete="current-password"></p>
      <button id="sign-in" type="submit">Sign in</button>
    </form>`;
  send(response, 200, `Sign in to ${name}`, body);
}

function logoutSource(ctx, form) {
  const body = `${form}
    <button id="sign-out" type="submit" form="op.logoutForm" name="logout" value="yes">Sign out</button>
    <button id="stay" type="submit" form="op.logoutForm">Stay signed in</button>`;
  ctx.body = html("Do you want to sign out?", body);
}

function postLogoutSuccessSource(ctx) {
  ctx.body = html("You are signed out", "");
}

function send(response, status, heading, body) {
  response.writeHead(status, { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" });
  response.end(html(heading, body));
}

function html(heading, body) {
  return `<!DOCTYPE html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width">
    <link rel="icon" href="data:,">
    <title>${escape(heading)}</title>
  </head>
  <body>
    <h1>${escape(heading)}</h1>
    ${body}
  </body>
</html>`;
}

function escape(text) {
  return String(text).replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
