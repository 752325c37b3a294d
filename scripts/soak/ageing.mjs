// Rows whose retention ends during the run, as if the same load had run before: sweeps delete as many rows as the load adds.

const DAY_MS = 24 * 3_600_000;

/** Rows of a table that are copied. */
const MAX_SOURCES = 1000;

/** Tables whose rows are swept: the time that counts, other times of a row, its ids, and the retention after that time. */
export const SWEPT = {
  session: { time: "last_seen", times: ["created_at", "ended_at"], ids: ["id_hash", "owner"], retention: 7 * DAY_MS },
  biller_session: { time: "created_at", times: ["ended_at"], ids: ["id", "browser_session_id"], retention: 7 * DAY_MS },
  consumed_token: { time: "expires_at", times: [], ids: ["id"], retention: 0 },
  decision_log: { time: "at", times: [], ids: ["code"], retention: DAY_MS },
  audit_event: { time: "at", times: [], ids: ["id"], retention: DAY_MS },
  idempotency: { time: "created_at", times: [], ids: ["name"], retention: DAY_MS },
};

/** Copies the rows of each table until there are `perSecond[table]` for each second, whose retention ends from now on. */
export async function addOldRows(database, perSecond, seconds) {
  for (const [table, { time, times, ids, retention }] of Object.entries(SWEPT)) {
    const count = Math.round(perSecond[table] * seconds);
    if (count === 0) continue;
    const first = Date.now() - retention;
    const due = `${first} + CAST(n.i AS BIGINT) * ${seconds * 1000} / ${count}`;
    const columns = await database.columns(table);
    const value = (column) => {
      if (column === time) return due;
      if (times.includes(column)) return `source.${column} - source.${time} + ${due}`;
      return ids.includes(column) ? `source.${column} || '~' || n.i` : `source.${column}`;
    };
    const sources = Math.min(MAX_SOURCES, Number(await database.query(`SELECT count(*) FROM ${table}`)));
    await database.query(`
      WITH RECURSIVE
        n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ${count - 1}),
        source AS (SELECT *, row_number() OVER (ORDER BY ${ids[0]}) - 1 AS number FROM ${table} LIMIT ${sources})
      INSERT INTO ${table} (${columns.join(", ")})
      SELECT ${columns.map(value).join(", ")} FROM n JOIN source ON source.number = n.i % ${sources}`);
  }
  await database.query("ANALYZE");
}
