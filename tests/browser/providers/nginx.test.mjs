// A reverse proxy in front: nginx, as Debian has it, serves the gateway and two portals under one host, and lets
// nobody into a portal without asking the gateway (auth_request).

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { openSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { PASSWORD, startIssuers } from "../issuers.mjs";
import { stopProcess, waitUntil, useGateway } from "../lib/gateway.mjs";
import * as step from "../lib/steps.mjs";
import { logFile } from "../lib/world.mjs";

const SLUGS = ["riverside-water", "maple-electric"];
const HEADERS = ["x-signpost-user", "x-signpost-biller", "x-signpost-subject", "x-signpost-auth-time"];
const FORGED = Object.fromEntries(HEADERS.map((name) => [name, "forged"]));

/** What an operator copies, with other addresses. */
const SITE = `
upstream signpost { server 127.0.0.1:8080; }
upstream portal { server 127.0.0.1:9000; }

server {
    listen 127.0.0.1:80;
    server_name localhost;

    # Addresses and headers carry sign-ins under way: more than nginx expects.
    large_client_header_buffers 4 32k;
    proxy_buffer_size 32k;
    proxy_buffers 8 32k;

    proxy_set_header Host $http_host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;

    # The gateway.
    location / {
        proxy_pass http://signpost;
    }

    # One block for each biller's portal.
    location /portal/riverside-water/ {
        set $biller riverside-water;
        include guarded.conf;
    }
    location /portal/maple-electric/ {
        set $biller maple-electric;
        include guarded.conf;
    }

    # Asks the gateway who it is. Nobody outside can ask here.
    location = /_signpost {
        internal;
        proxy_pass http://signpost/auth/verify?biller=$biller;
        proxy_pass_request_body off;
        proxy_set_header Content-Length "";
        proxy_set_header Host $http_host;
    }

    # Not signed in there: to the sign-in of that biller.
    location @sign_in {
        return 303 $scheme://$http_host/b/$biller;
    }
}
`;

const GUARDED = `
auth_request /_signpost;
auth_request_set $signpost_user $upstream_http_x_signpost_user;
auth_request_set $signpost_biller $upstream_http_x_signpost_biller;
auth_request_set $signpost_subject $upstream_http_x_signpost_subject;
auth_request_set $signpost_auth_time $upstream_http_x_signpost_auth_time;
error_page 401 = @sign_in;

# Takes the place of whatever the browser sent under these names.
proxy_set_header X-Signpost-User $signpost_user;
proxy_set_header X-Signpost-Biller $signpost_biller;
proxy_set_header X-Signpost-Subject $signpost_subject;
proxy_set_header X-Signpost-Auth-Time $signpost_auth_time;
# Said again: what the server block sets does not count where a location sets any.
proxy_set_header Host $http_host;
proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
proxy_pass http://portal;
`;

const world = useGateway(async (starting) => {
  const { gateway, port } = starting;
  const [listen, upstream] = [port + 1, port + 2];
  const issuers = SLUGS.map((name) => ({
    name,
    clients: [{ client_id: "signpost", client_secret: "a-secret", redirect_uris: [`/callback/${name}`] }],
    logout: false,
  }));
  const provider = await startIssuers({ gateway, issuers });
  starting.onStop(() => provider.close());
  starting.issuers = provider.issuers;
  starting.upstreamRequests = await startUpstream(starting, upstream);
  const ports = { ":8080;": listen, ":9000;": upstream, ":80;": port };
  await startNginx(starting, SITE.replace(/:\d+;/g, (written) => `:${ports[written]};`));
  const billers = SLUGS.map((slug) => ({
    slug,
    portal_url: new URL(pathOf(slug), gateway).href,
    oidc: { issuer: provider.issuers[slug].url, client_id: "signpost", client_secret: "a-secret" },
  }));
  const server = { trusted_proxies: ["127.0.0.1/32"] };
  return { billers, users: ["one-moved", "Zoë"], listen, server };
});

/** The portals behind nginx: they show and keep the headers with which they were reached. */
async function startUpstream(starting, port) {
  const received = [];
  const server = createServer((request, response) => {
    received.push({ path: request.url.split("?")[0], headers: request.headers });
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
    response.end('<!DOCTYPE html><link rel="icon" href="data:,"><title>Portal</title><h1>Your bills</h1>');
  });
  await new Promise((done, fail) => server.once("error", fail).listen(port, "127.0.0.1", done));
  starting.onStop(() => {
    server.close();
    server.closeAllConnections();
  });
  return received;
}

/** In the foreground, with everything that it writes in the gateway's folder. */
async function startNginx(starting, site) {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
  const paths = temporary.map((name) => `${name}_temp_path ${join(starting.folder, name)};`).join(" ");
  starting.file("guarded.conf", GUARDED);
  const main = starting.file("nginx.conf", [
    "daemon off; master_process off;",
    `pid ${join(starting.folder, "nginx.pid")}; error_log stderr;`,
    "events {}",
    `http { access_log off; ${paths} ${site} }`,
  ].join("\n"));
  const log = logFile("-nginx");
  const output = openSync(log, "w");
  const child = spawn("nginx", ["-p", starting.folder, "-c", main, "-e", "stderr"], {
    stdio: ["ignore", output, output],
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
  });
  const failed = new Promise((_, fail) => child.once("error", fail));
  starting.onStop(() => stopProcess(child));
  const answers = async () => {
    assert.equal(child.exitCode, null, `nginx stopProcess, see ${log}`);
    return Boolean(await fetch(starting.gateway).catch(() => undefined));
  };
  await Promise.race([failed, waitUntil(answers, "nginx serves")]);
}

const pathOf = (slug) => `/portal/${slug}/`;

/** From the portal, which is closed, through the sign-in and back. */
async function enter({ page }, slug, username = "one-moved") {
  await page.goto(world.url(pathOf(slug)));
  await step.expectHeading(page, `Sign in to ${slug}`);
  await step.signIn(page, username, PASSWORD);
  await step.expectHeading(page, "Your bills");
  assert.equal(step.urlWithoutQuery(page), world.url(pathOf(slug)));
}

/** How a portal was reached last. */
function lastUpstreamHeaders(slug) {
  const { headers } = world.upstreamRequests.findLast(({ path }) => path.startsWith(pathOf(slug)));
  return Object.fromEntries(HEADERS.map((name) => [name, headers[name]]));
}

/** Asked without following; the browser's cookies go along. */
async function ask(visitor, path, headers = {}) {
  const { context } = visitor;
  const cookies = await context.cookies(world.gateway);
  const cookie = cookies.map(({ name, value }) => `${name}=${value}`).join("; ");
  return fetch(world.url(path), { redirect: "manual", headers: { cookie, ...headers } });
}

async function expectClosed(visitor, slug, headers) {
  const before = world.upstreamRequests.length;
  const answer = await ask(visitor, pathOf(slug), headers);
  assert.equal(answer.status, 303);
  assert.equal(answer.headers.get("location"), world.url(`/b/${slug}`));
  assert.equal(world.upstreamRequests.length, before, "the portal was reached");
}

/** A journey for which it does not matter whether there are scripts. */
function journey(name, body) {
  world.journey(name, body, { scripts: [true] });
}

journey("not signed in: the portal is closed, and the sign-in leads there", async (visitor) => {
  await expectClosed(visitor, "riverside-water");
  await expectClosed(visitor, "riverside-water", FORGED);
  await enter(visitor, "riverside-water");
});

journey("signed in: the portal learns who it is, whatever the browser says", async (visitor) => {
  await enter(visitor, "riverside-water");
  const { status, ...said } = await world.verify(visitor, "riverside-water");
  assert.equal(status, 200);
  const expected = Object.fromEntries(HEADERS.map((name) => [name, said[name]]));
  assert.equal(expected["x-signpost-user"], "one-moved");
  assert.equal(expected["x-signpost-biller"], "riverside-water");
  assert.equal(expected["x-signpost-subject"], world.issuers["riverside-water"].subject("one-moved"));
  assert.ok(Math.abs(Date.now() / 1000 - Number(expected["x-signpost-auth-time"])) < 60);
  assert.deepEqual(lastUpstreamHeaders("riverside-water"), expected);

  await visitor.context.setExtraHTTPHeaders(FORGED);
  await visitor.page.goto(world.url(`${pathOf("riverside-water")}bills/7`));
  await step.expectHeading(visitor.page, "Your bills");
  assert.deepEqual(lastUpstreamHeaders("riverside-water"), expected);
  const spelled = { "X-SIGNPOST-USER": "forged", X_Signpost_User: "forged" };
  assert.equal((await ask(visitor, pathOf("riverside-water"), spelled)).status, 200);
  assert.deepEqual(lastUpstreamHeaders("riverside-water"), expected);
  const { headers } = world.upstreamRequests.at(-1);
  assert.ok(!Object.values(headers).includes("forged"), "a forged header came through");
});

journey("another biller's portal stays closed", async (visitor) => {
  await enter(visitor, "riverside-water");
  await expectClosed(visitor, "maple-electric");
  await expectClosed(visitor, "maple-electric", FORGED);
  for (const path of ["/_signpost", "/_signpost?biller=riverside-water"]) {
    assert.equal((await ask(visitor, path)).status, 404);
  }
  await enter(visitor, "maple-electric");
  assert.equal(lastUpstreamHeaders("maple-electric")["x-signpost-biller"], "maple-electric");
});

journey("signed out: the portal is closed again", async (visitor) => {
  const { page } = visitor;
  await enter(visitor, "riverside-water");
  await page.goto(world.url("/logout"));
  await page.getByRole("button", { name: "Sign out of riverside-water" }).click();
  await step.expectHeading(page, "You are signed out of riverside-water");
  await expectClosed(visitor, "riverside-water");
});

journey("a name with letters beyond ASCII comes percent-encoded", async (visitor) => {
  await enter(visitor, "riverside-water", "Zoë");
  assert.equal(lastUpstreamHeaders("riverside-water")["x-signpost-user"], "Zo%C3%AB");
});
