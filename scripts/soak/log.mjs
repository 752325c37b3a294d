// How much a process logs, and what it warns of.

import { createInterface } from "node:readline";

export class LogMeter {
  bytes = 0;
  /** Warnings and errors, by level, message and cause. */
  alarms = {};

  read(stream) {
    createInterface({ input: stream }).on("line", (line) => {
      this.bytes += Buffer.byteLength(line) + 1;
      this.last = line;
      if (!line.includes('"level":"INFO"')) this.#note(line);
    });
  }

  #note(line) {
    const key = line.startsWith("{") ? summary(JSON.parse(line)) : line;
    this.alarms[key] = (this.alarms[key] ?? 0) + 1;
  }
}

function summary({ level, fields: { message, error, cause } }) {
  return [level, message, error ?? cause].filter(Boolean).join(" ").slice(0, 300);
}
