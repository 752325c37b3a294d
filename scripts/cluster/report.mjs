// The part of the report about several instances.

import { CASES } from "./cases.mjs";

const LOST = { sessions: "sign-ins", redeemed: "redeemed handoffs", users: "created users" };
/** The longest that a customer waits for a response, in seconds. */
const MAX_WAIT = 5;
/** The longest until all instances follow a change, in seconds. */
const MAX_PROPAGATION = 1;

/** What an upgrade found besides. */
function upgradeText({ upgrade, upgradeIncompatible: incompatible }) {
  if (!upgrade || !incompatible) return "";
  const { before, after, end, killed, rolledBack } = upgrade.details;
  const { running, isServing, exit, seconds, message } = incompatible.details;
  const refusal = isServing ? "served" : `ended with exit code ${exit} after ${seconds.toFixed(1)} s`;
  return `Rolling upgrade: the first new instance took the schema from ${before} to ${after}. Older programs started on it ${killed} times after a kill and
${rolledBack} times when they were rolled back; the schema stayed at ${end}. With a migration that is not marked as compatible, ${running} of 2 older
instances that were running were still ready after ten seconds. One that was started again ${refusal} and said \`${message}\`.
`;
}

export function clusterText({ cases, propagation, readOnlyDisk: disk, versions, on }) {
  const measured = Object.entries(CASES).filter(([name]) => cases[name]);
  const row = ([name, { title }]) => {
    const { attempts, failed, lost, unavailableSeconds, healthyAfter, slowestMs, saw } = cases[name];
    const healthy = healthyAfter === null ? "never" : healthyAfter.toFixed(1);
    const longest = (slowestMs / 1000).toFixed(1);
    const cells = [title, `${failed} of ${attempts}`, lostText(lost) || "nothing", sawText(saw), longest, unavailableSeconds, healthy];
    return `| ${cells.join(" | ")} |`;
  };
  const table = (rows) => `| fault | failed sign-ins | lost | what customers saw | longest, s | failing, s | healthy, s |
| --- | --- | --- | --- | --- | --- | --- |
${rows.map(row).join("\n")}`;
  const acknowledged = measured.map(([name]) => cases[name].acknowledged);
  const sum = (what) => acknowledged.reduce((total, counts) => total + counts[what], 0).toLocaleString("en-US");
  return `## Several instances on PostgreSQL

Three instances behind HAProxy ${versions.haproxy} with the files of \`contrib/haproxy\`, PostgreSQL ${versions.postgres} with a synchronous standby, and the
stand-ins, measured on ${on}. Eight complete sign-ins start each second, whatever happens; requests go to the instances in
turn. Under quiet load ${cases.quiet?.crossings} of ${cases.quiet?.attempts} started at one instance and returned at another. One user is created through the API each second. A fault begins after five seconds of load. A service manager, which the script plays, starts
an instance again one second after its end. As browsers do, customers repeat a GET whose kept connection broke. Other programs ran on the machine, so read seconds as upper bounds.

- Lost: what was acknowledged and was gone afterwards at any instance. In all cases together ${sum("sessions")} sign-ins, ${sum("redeemed")} redeemed
  handoffs, which must not work twice, and ${sum("users")} created users were checked.
- What customers saw: the step that failed (start, return from SecureAuth, redemption by the portal, verification of the session) and
  the response. A redirect to \`/login\` of the legacy portal is a way to sign in, but counts as failed here.
- Longest: the longest wait for a response of the gateway.
- Failing: seconds in which at least one sign-in started that failed.
- Healthy: time from the end of the fault until all instances are ready, HAProxy uses them, and no sign-in fails any more.

${table(measured.filter(([, { sqlite }]) => !sqlite))}

${upgradeText(cases)}
Instances behind HAProxy with one SQLite file:

${table(measured.filter(([, { sqlite }]) => sqlite))}

${disk.title}: ${disk.isServing ? "it served" : `it ended with exit code ${disk.exit} after ${disk.seconds.toFixed(1)} s`} and said \`${disk.message}\`. A session from
before was ${disk.isKept ? "still there" : "gone"} once the file system was writable.

Time until the other instances follow a change at one of them, the slowest of six rounds; also its reversal, if there is one. The limit
is ${MAX_PROPAGATION} s.

| change | seconds |
| --- | --- |
${Object.values(propagation).map(({ title, worst }) => `| ${title} | ${worst === null ? "not shared" : worst.toFixed(3)} |`).join("\n")}
`;
}

function lostText(lost) {
  return Object.entries(lost).filter(([, count]) => count > 0).map(([what, count]) => `${count} ${LOST[what]}`).join(", ");
}

function sawText(saw) {
  const text = ({ step, status, by, title, isWayOn, count, slowestMs }) => {
    const what = status === 0 ? title : `${status} of ${by}: ${title}`;
    const isForCustomer = !["portal", "verify"].includes(step);
    return `${count} × ${step}: ${what}${isWayOn || !isForCustomer ? "" : " (no link)"}, at most ${(slowestMs / 1000).toFixed(1)} s`;
  };
  return saw.map(text).join("; ") || "no failure";
}

/** Throws if a requirement is not met. */
export function checkCluster({ cases, propagation, readOnlyDisk }) {
  const problems = [];
  for (const [name, { lost, healthyAfter, slowestMs, saw }] of Object.entries(cases)) {
    if (lostText(lost)) problems.push(`${name}: lost ${lostText(lost)}`);
    if (healthyAfter === null) problems.push(`${name}: not healthy without a person`);
    if (slowestMs > MAX_WAIT * 1000) problems.push(`${name}: a response took ${(slowestMs / 1000).toFixed(1)} s`);
    const isDeadEnd = ({ step, isWayOn }) => ["start", "return"].includes(step) && !isWayOn;
    for (const { status, title } of saw.filter(isDeadEnd)) problems.push(`${name}: no way on from ${status} ${title}`);
  }
  problems.push(...upgradeProblems(cases));
  for (const { title, worst } of Object.values(propagation)) {
    if (worst === null || worst > MAX_PROPAGATION) problems.push(`${title}: not seen by all instances within ${MAX_PROPAGATION} s`);
  }
  if (readOnlyDisk.isServing || !readOnlyDisk.isKept) problems.push("an SQLite file on a read-only file system was not refused");
  if (problems.length > 0) throw new Error(problems.join("\n"));
}

function upgradeProblems({ upgrade, upgradeIncompatible: incompatible }) {
  const problems = [];
  // A kill breaks the connections of the requests that it interrupts.
  const failures = (upgrade?.saw ?? []).filter(({ title }) => title !== "connection lost");
  for (const { step, status, title, count } of failures) problems.push(`upgrade: ${count} sign-ins failed: ${step}, ${status} ${title}`);
  const steps = upgrade?.details;
  if (steps && (steps.after !== steps.before + 1 || steps.end !== steps.after)) problems.push("upgrade: the schema is not the expected one");
  if (steps && (steps.killed !== 2 || steps.rolledBack !== 3)) problems.push("upgrade: an older program did not start on the newer schema");
  if (incompatible?.details.isServing) problems.push("upgradeIncompatible: an older program served an incompatible schema");
  return problems;
}
