// Providers that are not ours, each started by its script below tests/providers, with a clock that tests can set.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stopProcess, waitUntil } from "./gateway.mjs";
import { HERE, logFile } from "./world.mjs";

/** Of every user of these providers. */
export const PASSWORD = "correct horse";
/** What is installed once and shared by all runs. */
const CACHE = process.env.SIGNPOST_PROVIDERS ?? join(tmpdir(), "signpost-providers");
/** In milliseconds; the `Date` header has no fractions of a second. */
const CLOCK_TOLERANCE = 5_000;
/** Includes the installation. */
export const START_TIMEOUT = 300_000;

/**
 * Starts a provider for a gateway under test and stops it with the gateway. `offset` says which of the gateway's ports it gets,
 * `issuerPath` is what follows the origin in its issuer. Returns its origin and `setClock`.
 */
export async function startProvider(starting, name, { offset, issuerPath = "", clients }) {
  const port = starting.port + offset;
  const origin = `http://127.0.0.1:${port}`;
  const state = join(starting.folder, name);
  mkdirSync(state);
  const clock = starting.file(`${name}.clock`, clockText(0));
  const log = logFile(`-${name}`);
  const output = openSync(log, "w");
  const child = spawn(join(HERE, "../providers", name, "start"), {
    env: {
      ...process.env,
      PORT: port,
      CLIENTS: JSON.stringify(clients),
      STATE: state,
      CACHE: join(CACHE, name),
      CLOCK: clock,
    },
    stdio: ["ignore", output, output],
  });
  starting.onStop(() => stopProcess(child));
  starting.externalOrigins.push(origin);
  const discovery = `${origin}${issuerPath}/.well-known/openid-configuration`;
  const answers = async () => {
    assert.equal(child.exitCode, null, `${name} has ended, see ${log}`);
    const answer = await fetch(discovery).catch(() => undefined);
    return answer?.ok && (await answer.json()).issuer === origin + issuerPath;
  };
  await waitUntil(answers, `${name} serves`, START_TIMEOUT);
  return {
    origin,
    /** Sets how many seconds the provider's clock is ahead, or behind if negative. Returns once its responses say so. */
    async setClock(seconds) {
      // In place: the provider has mapped the file.
      const file = openSync(clock, "r+");
      writeSync(file, clockText(seconds), 0);
      closeSync(file);
      // Servers keep the `Date` header for a moment, and browsers judge by it when cookies expire.
      const isSet = async () => {
        const date = Date.parse((await fetch(discovery)).headers.get("date"));
        return Math.abs(date - Date.now() - 1000 * seconds) < CLOCK_TOLERANCE;
      };
      await waitUntil(isSet, `the clock of ${name} is set`);
    },
  };
}

/** As tests/providers/clock.c reads it. */
function clockText(seconds) {
  return String(seconds).padEnd(15) + "\n";
}
