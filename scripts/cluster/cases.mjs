// What happens to a cluster under load, one case at a time.

import { pause, until } from "./processes.mjs";
import { upgradeAndRollBack, upgradeIncompatibly } from "./upgrade.mjs";

const seconds = (count) => pause(count * 1000);

/** `fault` resolves when the fault is over, or at once if nothing but the system itself ends it; it may return what else it found.
 *  `prepare` runs before the start. `sqlite` is the number of instances on one SQLite file instead of PostgreSQL. */
export const CASES = {
  quiet: { title: "Quiet load", fault: () => seconds(20) },
  rolling: {
    title: "Rolling restart: SIGTERM, one instance after the other",
    async fault(cluster) {
      for (const instance of cluster.instances) {
        await instance.restart();
        await until("HAProxy sees it", async () => (await cluster.haproxyServers("ready")) === 3);
      }
    },
  },
  kill: {
    title: "One instance killed (SIGKILL), restarted by the service manager after 1 s",
    async fault({ instances: [, instance] }) {
      instance.kill("SIGKILL");
      await instance.process.ended;
    },
  },
  freeze: {
    title: "One instance stopped for 40 s (SIGSTOP)",
    async fault({ instances: [, instance] }) {
      instance.kill("SIGSTOP");
      await seconds(40);
      instance.kill("SIGCONT");
    },
  },
  databaseRestart: {
    title: "PostgreSQL restarted (fast shutdown)",
    fault: ({ postgres }) => postgres.restart(),
  },
  databaseDown: {
    title: "PostgreSQL down for 30 s (immediate shutdown)",
    async fault({ postgres }) {
      await postgres.crash();
      await seconds(30);
      await postgres.startAgain();
    },
  },
  failover: {
    title: "PostgreSQL primary lost, standby promoted 5 s later",
    async fault({ postgres }) {
      await postgres.crash();
      await seconds(5);
      await postgres.promote();
    },
  },
  standbyLost: {
    title: "PostgreSQL standby down for 20 s: commits wait for it",
    async fault({ postgres: { standby } }) {
      await standby.control("stop", "-m", "immediate");
      await seconds(20);
      await standby.control("start");
    },
  },
  readOnly: {
    title: "PostgreSQL read-only for 20 s (`default_transaction_read_only`)",
    async fault({ postgres }) {
      await postgres.setReadOnly(true);
      await seconds(20);
      await postgres.setReadOnly(false);
    },
  },
  clockAhead: {
    title: "Clock of one instance 30 s ahead",
    prepare: (cluster) => cluster.setClock(cluster.instances[1], 30),
    fault: () => seconds(20),
  },
  clockBehind: {
    title: "Clock of one instance 30 s behind",
    prepare: (cluster) => cluster.setClock(cluster.instances[1], -30),
    fault: () => seconds(20),
  },
  databaseSlow: {
    title: "Network to PostgreSQL slow for 30 s (100 ms for each round trip)",
    async fault({ database }) {
      database.slowDown(50);
      await seconds(30);
      database.restore();
    },
  },
  databaseCut: {
    title: "Network to PostgreSQL cut for 30 s: packets are lost",
    async fault({ database }) {
      database.cut();
      await seconds(30);
      database.restore();
    },
  },
  issuerSlow: {
    title: "SecureAuth slow for 40 s (10 s for each response)",
    async fault({ standins: { secureauth } }) {
      secureauth.slowDown(5000);
      await seconds(40);
      secureauth.restore();
    },
  },
  issuerDown: {
    title: "SecureAuth down for 40 s: connections are refused",
    async fault({ standins: { secureauth } }) {
      await secureauth.close();
      await seconds(40);
      await secureauth.listen();
    },
  },
  upgrade: {
    title: "Rolling upgrade to a newer schema, older instances killed between the steps, then rolled back",
    isUpgrade: true,
    fault: upgradeAndRollBack,
  },
  upgradeIncompatible: {
    title: "Rolling upgrade to a schema that the older release cannot use",
    isUpgrade: true,
    fault: upgradeIncompatibly,
  },
  sqliteTwo: {
    title: "Two `signpost serve` on one SQLite file",
    sqlite: 2,
    fault: () => seconds(20),
  },
  sqliteFull: {
    title: "SQLite's disk full for 15 s",
    sqlite: 1,
    async fault({ disk }) {
      await disk.fill();
      await seconds(15);
      disk.free();
    },
  },
};
