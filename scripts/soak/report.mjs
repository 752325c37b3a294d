// The part of the report about long load.

import { DATABASES } from "./databases.mjs";

/** Shorter runs are trials. */
export const FULL_MINUTES = 30;
const NAMES = { sqlite: "SQLite", postgres: "PostgreSQL" };

/** A run of full length, or else a trial. */
function best(soak, form) {
  return soak?.runs?.[form] ?? soak?.trials?.[form];
}

export function soakText(soak) {
  const measured = Object.keys(DATABASES).filter((form) => best(soak, form));
  if (measured.length === 0) return "## Half load for 30 minutes\n\nNot measured yet.\n";
  return `## Half load for 30 minutes

One \`signpost serve\` under a mixture of complete sign-ins, sign-outs, verifications, lookups of unknown, legacy and migrated usernames,
handoffs, password resets, emails, API calls and console pages, from 65,000 networks. A calibration finds the highest rate; a new process
runs at half of it. The tables that are swept begin with the rows that the same load would have left earlier, so that sweeps delete as
many rows as the load adds. Samples are taken every ten seconds. Of sizes, queues and rows each third of the time shows the largest sample,
otherwise the median. Limits compare the last third with the middle one; the first fills caches. Client, gateway, stand-ins and database
share the cores.

${measured.map((form) => formText(form, best(soak, form))).join("\n")}`;
}

function formText(form, { version, minutes, on, most, rate, requests, failures, alarms, lines, sweeps }) {
  const whole = (value) => Math.round(value).toLocaleString("en-US");
  const trial = minutes < FULL_MINUTES ? "A trial, too short to judge the growth of memory and database. " : "";
  const value = (number) => {
    if (number === null) return "";
    return Number.isInteger(number) || Math.abs(number) >= 1000 ? whole(number) : number.toFixed(Math.abs(number) < 10 ? 2 : 1);
  };
  const verdict = (isFlat) => (isFlat === null ? "" : isFlat ? "within" : "**exceeded**");
  const rows = lines.map(({ what, values, limit, isFlat }) => `| ${what} | ${values.map(value).join(" | ")} | ${limit} | ${verdict(isFlat)} |`);
  const list = (counts) => Object.entries(counts).map(([what, count]) => `${count} × ${what}`).join("; ") || "none";
  const swept = sweeps.decision_log.map(({ at, rows: left }) => `${whole(left)} after ${(at / 60).toFixed(1)} minutes`).join(", ");
  return `### ${NAMES[form]} ${version}

${trial}${minutes} minute(s) on ${on}: ${whole(most)} journeys per second at most, ${whole(rate)} per second in the run, ${whole(requests)} requests.

- Unexpected responses: ${list(failures)}.
- Warnings and errors in the log: ${list(alarms)}.
- Rows of \`decision_log\` after each sweep: ${swept || "no sweep in this time"}.

| | first third | middle | last | limit | |
| --- | --- | --- | --- | --- | --- |
${rows.join("\n")}
`;
}

/** Throws if something grew or failed. */
export function checkSoak(soak) {
  const problems = [];
  for (const form of Object.keys(DATABASES).filter((name) => best(soak, name))) {
    const { lines, failures, exit } = best(soak, form);
    for (const { what, values } of lines.filter(({ isFlat }) => isFlat === false)) problems.push(`${form}: ${what}: ${values.join(", ")}`);
    for (const [what, count] of Object.entries(failures)) problems.push(`${form}: ${count} × ${what}`);
    if (exit !== 0) problems.push(`${form}: the gateway ended with ${exit}`);
  }
  if (problems.length > 0) throw new Error(problems.join("\n"));
}
