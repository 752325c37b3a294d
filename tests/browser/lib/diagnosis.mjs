// What a gateway under test says about a biller's sign-in, in every place where a person looks for it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { waitUntil } from "./gateway.mjs";
import { REFERENCE } from "./steps.mjs";
import { HERE, logFile } from "./world.mjs";

const ENGLISH = readFileSync(join(HERE, "../../locales/en.ftl"), "utf8").split("\n");

/** An English text of the gateway about a biller, by its key; undefined if there is none. */
export function text(key, biller) {
  return ENGLISH.find((line) => line.startsWith(`${key} = `))?.slice(key.length + 3).replace("{ $biller }", biller);
}

/** The reason of the last log line about a biller since `start`, a position in the log; null if no line has one. */
export function reasonInLog(slug, start) {
  const lines = readFileSync(logFile(), "utf8").slice(start).split("\n");
  const reasons = lines.filter((line) => line.includes(`biller=${slug} `) || line.endsWith(`biller=${slug}`));
  return reasons.map((line) => line.match(/reason="?(\w+)/)?.[1]).findLast(Boolean) ?? null;
}

export function logLength() {
  return readFileSync(logFile(), "utf8").length;
}

/** The reason in the decision record of the reference code on the page; null if the record is that of a decision. */
export async function reasonInRecord(world, page) {
  const [code] = (await page.locator("footer code").innerText()).match(REFERENCE);
  let record;
  // Records are written after the response; until then the answer has no details.
  await waitUntil(async () => {
    record = JSON.parse(await world.command("decision", code, "--format", "json"));
    return record.details !== undefined;
  }, `the record of ${code} is written`);
  return record.details.reason ?? null;
}

/** The word for the setup fault in the report of service health; null if there is none. */
export async function faultInHealth(world, slug) {
  const { billers } = await world.api("/api/v1/health");
  const { setup_fault: fault, issuer } = billers.find((biller) => biller.slug === slug);
  const found = fault ?? issuer?.setup_fault;
  return found?.reason ?? found ?? null;
}

/** The findings of the readiness check that are not passed. The command and the API agree on them. */
export async function findings(world, slug) {
  const [byCommand, byApi] = await Promise.all([
    world.command("check", "--biller", slug, "--json").catch((error) => error.stdout),
    world.api(`/api/v1/billers/${slug}/readiness`),
  ]);
  const worse = ({ checks }) => checks.filter(({ status }) => status !== "pass");
  const command = worse(JSON.parse(byCommand));
  assert.deepEqual(command, worse(byApi), "the command and the API disagree");
  return command;
}
