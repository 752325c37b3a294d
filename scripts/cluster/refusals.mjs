// What `signpost serve` says about an SQLite database that it cannot write.

import { readFileSync } from "node:fs";
import { join } from "node:path";

import { cookies, send } from "./http.mjs";
import { isRunning, pause, start, stop, until } from "./processes.mjs";
import { BILLER, USERS } from "./world.mjs";

/** A session before, a read-only file system at a start, and the session afterwards. */
export async function measureReadOnlyDisk(cluster) {
  const [instance] = cluster.instances;
  const cookie = await signIn(cluster);
  await instance.stop();
  await cluster.disk.remount("ro");
  const log = join(cluster.folder, "read-only.log");
  const began = performance.now();
  const process = start(cluster.binary, ["serve", "--config", instance.settings], log);
  const ended = await Promise.race([process.ended, pause(10_000)]);
  const seconds = (performance.now() - began) / 1000;
  const isServing = isRunning(process);
  await stop(process);
  const said = readFileSync(log, "utf8").trim().split("\n").at(-1);
  await cluster.disk.remount("rw");
  instance.start();
  await until("the instance is ready again", () => instance.isReady());
  const headers = { cookie, host: new URL(cluster.gateway).host };
  const isKept = (await send(`${instance.url}/auth/verify?biller=${BILLER}`, { headers })).status === 200;
  const title = "`signpost serve` on an SQLite file on a read-only file system";
  const message = said.replaceAll(cluster.folder, "…");
  return { title, isServing, exit: ended?.code ?? null, seconds, message, isKept };
}

async function signIn(cluster) {
  const started = await send(`${cluster.gateway}/b/${BILLER}`);
  const agreed = await cluster.standins.signIn(new URL(started.headers.location), USERS[0]);
  return cookies(await send(agreed.headers.location, { headers: { cookie: cookies(started) } }));
}
