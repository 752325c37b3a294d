// What happens to a cluster under load, one case at a time.

import { isRunning, pause, until } from "./processes.mjs";

const seconds = (count) => pause(count * 1000);

/** `fault` resolves when the fault is over, or at once if nobody takes it back. `prepare` runs before the instances start. */
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
};
