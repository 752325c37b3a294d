// The part of the report about several instances.

import { CASES } from "./cases.mjs";

const LOST = { sessions: "sign-ins", redeemed: "redeemed handoffs", users: "created users" };

export function clusterText(found) {
  const measured = Object.entries(CASES).filter(([name]) => found[name]);
  const rows = measured.map(([name, { title }]) => {
    const { attempts, failed, lost, unavailableSeconds, healthyAfter, slowestMs, saw } = found[name];
    const gone = Object.entries(lost).filter(([, count]) => count > 0).map(([what, count]) => `${count} ${LOST[what]}`);
    const healthy = healthyAfter === null ? "never" : healthyAfter.toFixed(1);
    return `| ${title} | ${failed} of ${attempts} | ${gone.join(", ") || "nothing"} | ${sawText(saw)} | ${(slowestMs / 1000).toFixed(1)} | ${unavailableSeconds} | ${healthy} |`;
  });
  return `## Several instances on PostgreSQL

Three instances behind HAProxy with the files of \`contrib/haproxy\`, PostgreSQL with a synchronous standby, SecureAuth's stand-in. Eight
complete sign-ins start each second, whatever happens; consecutive requests go to different instances. One user is created through the
API each second. A fault begins after five seconds of load.

- Lost: what was acknowledged and is gone afterwards, at any instance: sessions of customers, single use of handoffs, created users.
- Longest: the longest wait for a response of the gateway, in seconds.
- Failing: seconds in which at least one sign-in started that failed.
- Healthy: seconds from the end of the fault until all instances are ready, HAProxy uses them, and no sign-in fails any more.

| fault | failed sign-ins | lost | what customers saw | longest | failing | healthy |
| --- | --- | --- | --- | --- | --- | --- |
${rows.join("\n")}
`;
}

function sawText(saw) {
  const text = ({ step, status, by, title, isWayOn, count, slowestMs }) => {
    const what = status === 0 ? title : `${status} of ${by}: ${title}`;
    return `${count} × ${step}: ${what}${isWayOn || step === "portal" ? "" : " (no link)"}, at most ${(slowestMs / 1000).toFixed(1)} s`;
  };
  return saw.map(text).join("; ") || "no failure";
}
