// Processes that end with this one.

import { execFile, spawn } from "node:child_process";
import { openSync } from "node:fs";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** At once unless there is something to wait for. */
export const pause = (ms) => new Promise((done) => (ms > 0 ? setTimeout(done, ms) : done()));

/** Waits until a condition holds. */
export async function until(what, holds, seconds = 30) {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    const found = await Promise.resolve(holds()).catch(() => undefined);
    if (found) return found;
    if (performance.now() > end) throw new Error(`${what}: not within ${seconds} s`);
    await pause(50);
  }
}

/** Starts a program. Its output goes to a log file. */
export function start(program, args, log, options = {}) {
  const output = openSync(log, "a");
  const child = spawn(program, args, { stdio: ["ignore", output, output], ...options });
  child.ended = new Promise((done) => child.once("exit", (code, signal) => done({ code, signal })));
  return child;
}

export function isRunning(child) {
  return child && child.exitCode === null && child.signalCode === null;
}

/** Ends a process, and kills it if it does not end. */
export async function stop(child, signal = "SIGTERM") {
  if (!isRunning(child)) return;
  child.kill(signal);
  child.kill("SIGCONT");
  const killing = setTimeout(() => child.kill("SIGKILL"), 15_000);
  await child.ended;
  clearTimeout(killing);
}

/** Runs a program to its end and returns its output. Proxies of this process go on meanwhile. */
export async function run(program, args, options = {}) {
  const { stdout } = await execute(program, args, options);
  return stdout.trim();
}
