// `scripts/prove soak`: one gateway under half of the load that it can bear, and whether anything grows.
//
// SOAK_MINUTES (30) is the time for each of DATABASES (sqlite,postgres). A shorter run is a trial: it is reported until there is a
// full one and replaces none.

import { closeConnections } from "../cluster/http.mjs";
import { pause } from "../cluster/processes.mjs";
import { SWEPT, addOldRows } from "./ageing.mjs";
import { DATABASES, countRows } from "./databases.mjs";
import { judge, sweeps } from "./judge.mjs";
import { Load } from "./load.mjs";
import { FULL_MINUTES } from "./report.mjs";
import { sample } from "./samples.mjs";
import { World } from "./world.mjs";

const CALIBRATION_SECONDS = 20;
const WIDTH = 16;
/** Old rows last a little longer than the run. */
const SPARE_SECONDS = 60;

export async function measureSoak(binary, earlier = {}, save = () => {}) {
  const minutes = Number(process.env.SOAK_MINUTES ?? FULL_MINUTES);
  if (!(minutes >= 1)) throw new Error(`SOAK_MINUTES is ${process.env.SOAK_MINUTES}; expected a number of minutes, at least 1`);
  const selected = process.env.DATABASES?.split(",") ?? Object.keys(DATABASES);
  const unknown = selected.find((form) => !DATABASES[form]);
  if (unknown) throw new Error(`unknown database ${unknown}; expected one of ${Object.keys(DATABASES).join(", ")}`);
  const kind = minutes < FULL_MINUTES ? "trials" : "runs";
  const found = { ...earlier };
  for (const form of selected) {
    const world = new World(binary, form);
    try {
      await world.start();
      found[kind] = { ...found[kind], [form]: await measure(world, minutes * 60) };
      save(found);
    } finally {
      closeConnections();
      await world.stop();
    }
  }
  return found;
}

async function measure(world, seconds) {
  const { database } = world;
  const tables = await database.tables();
  const { most, addedPerJourney } = await calibrate(world, tables);
  const rate = most / 2;
  const addedPerSecond = Object.fromEntries(Object.keys(SWEPT).map((table) => [table, addedPerJourney[table] * rate]));
  await addOldRows(database, addedPerSecond, seconds + SPARE_SECONDS);

  // A process of its own, so that nothing of the calibration is in its memory.
  await world.serve();
  const load = new Load(world);
  await load.prepare();
  console.log(`${database.version}: ${most.toFixed(0)} journeys a second at most; ${rate.toFixed(0)} a second for ${seconds} s`);
  let isOver = false;
  const sampling = sample(world, load, tables, () => isOver);
  await load.runAtRate(rate, seconds);
  isOver = true;
  const samples = await sampling;
  await world.end();
  const { code } = await world.process.ended;
  const { journeys, requests, failures } = load;
  return {
    on: new Date().toISOString().slice(0, 10),
    version: database.version,
    minutes: seconds / 60,
    most,
    rate,
    journeys,
    requests,
    failures,
    alarms: world.log.alarms,
    exit: code,
    lines: judge(samples, { form: world.form, seconds, addedPerSecond }),
    sweeps: Object.fromEntries(Object.keys(SWEPT).map((table) => [table, sweeps(samples, table)])),
    // Every minute is enough to draw a curve.
    samples: samples.filter((_, at) => at % 6 === 5),
  };
}

/** The most journeys a second, and the rows that each table gains by one. */
async function calibrate(world, tables) {
  await world.serve();
  const load = new Load(world);
  await load.prepare();
  const before = await countRows(world.database, tables);
  const most = await load.runAtFullSpeed(CALIBRATION_SECONDS, WIDTH);
  // The decision log is written in the background.
  const logged = async () => (await countRows(world.database, ["decision_log"])).decision_log;
  for (let last = -1, now = await logged(); now !== last; ) {
    await pause(1500);
    [last, now] = [now, await logged()];
  }
  const after = await countRows(world.database, tables);
  await world.end();
  if (Object.keys(load.failures).length > 0) console.log("calibration:", load.failures);
  return { most, addedPerJourney: Object.fromEntries(tables.map((table) => [table, (after[table] - before[table]) / load.journeys])) };
}
