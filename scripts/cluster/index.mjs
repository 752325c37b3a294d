// `scripts/prove cluster`: measures the cases and writes their part of the report.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { CASES } from "./cases.mjs";
import { measureCase } from "./customers.mjs";
import { closeConnections } from "./http.mjs";
import { Cluster, StandIns } from "./world.mjs";

/** CASES in the environment selects cases by name; the others keep their earlier results. */
export async function measureCluster(binary, root, earlier, save) {
  const selected = process.env.CASES?.split(",") ?? Object.keys(CASES);
  const unknown = selected.find((name) => !CASES[name]);
  if (unknown) throw new Error(`unknown case ${unknown}; expected one of ${Object.keys(CASES).join(", ")}`);
  const folder = mkdtempSync(join(tmpdir(), "signpost-cluster-"));
  const found = { ...earlier };
  let standins;
  try {
    standins = await StandIns.start(binary, folder);
    for (const name of selected) {
      const cluster = new Cluster(binary, root, standins);
      try {
        await cluster.start(CASES[name].prepare);
        found[name] = { on: new Date().toISOString().slice(0, 10), ...(await measureCase(cluster, CASES[name])) };
        console.log(name, JSON.stringify(found[name]));
        save(found);
      } finally {
        await cluster.stop();
      }
    }
  } finally {
    closeConnections();
    await standins?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
  return found;
}
