// `scripts/prove cluster`: several instances under load, one fault at a time.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { CASES } from "./cases.mjs";
import { measureCase } from "./customers.mjs";
import { closeConnections } from "./http.mjs";
import { measurePropagation } from "./propagation.mjs";
import { measureReadOnlyDisk } from "./refusals.mjs";
import { upgradeBinaries } from "./upgrade.mjs";
import { Cluster, StandIns } from "./world.mjs";

const OTHERS = { propagation: {}, readOnlyDisk: { sqlite: 1 } };

/** CASES in the environment selects cases by name; the others keep their earlier results. `save` is called after each. */
export async function measureCluster(binary, root, earlier = { cases: {} }, save = () => {}) {
  const all = [...Object.keys(CASES), ...Object.keys(OTHERS)];
  const selected = process.env.CASES?.split(",") ?? all;
  const unknown = selected.find((name) => !all.includes(name));
  if (unknown) throw new Error(`unknown case ${unknown}; expected one of ${all.join(", ")}`);
  const folder = mkdtempSync(join(tmpdir(), "signpost-cluster-"));
  const found = { ...earlier, on: new Date().toISOString().slice(0, 10) };
  let standins;
  try {
    standins = await StandIns.start(binary, folder);
    for (const name of selected) {
      const upgrade = CASES[name]?.isUpgrade ? await upgradeBinaries(binary, root) : undefined;
      const cluster = new Cluster(binary, root, standins, CASES[name] ?? OTHERS[name], upgrade);
      try {
        await cluster.start(CASES[name]?.prepare);
        found.versions = { ...found.versions, ...(await cluster.versions()) };
        if (name === "propagation") found.propagation = await measurePropagation(cluster);
        else if (name === "readOnlyDisk") found.readOnlyDisk = await measureReadOnlyDisk(cluster);
        else found.cases[name] = await measureCase(cluster, CASES[name]);
        console.log(name, JSON.stringify(found.cases[name] ?? found[name]));
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
