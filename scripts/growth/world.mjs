// Billers and users by number, so that requests can name them without reading the database.

import { once } from "node:events";
import { createWriteStream } from "node:fs";

/** Its registration is that of the stand-in's biller, so that users can sign in there. */
export const MIGRATED = "riverside-water";
export const BIG = "big-legacy";
/** Of a hundred billers, and of ten users, one is migrated. */
const MIGRATED_BILLERS_IN = 100;
const MIGRATED_USERS_IN = 10;
/** A prime above the largest size: multiplication by another number shuffles the usernames, and none repeats. */
const PRIME = 100_000_007;
const MULTIPLIER = 61_803_399;

/** Larger numbers are those of unknown usernames. */
export const MAX_USERS = 90_000_000;

export class World {
  constructor(users, billers) {
    const legacy = users - Math.floor(users / MIGRATED_USERS_IN);
    // Users are imported to these two billers. `spread` of Installation moves half of them to the others.
    this.files = [
      { slug: BIG, from: 0, to: legacy },
      { slug: MIGRATED, from: legacy, to: users },
    ];
    const others = Array.from({ length: billers - 2 }, (_, at) => ({ slug: `biller-${at}`, isMigrated: at % MIGRATED_BILLERS_IN === 0 }));
    Object.assign(this, { users, billers: [{ slug: BIG, isMigrated: false }, { slug: MIGRATED, isMigrated: true }, ...others] });
  }

  slugs(isMigrated) {
    return this.billers.filter((biller) => biller.isMigrated === isMigrated).map(({ slug }) => slug);
  }

  /** `count` usernames of a file, spread over all of it. `share` of `shares` picks disjoint ones. */
  usernames(slug, count, [share, shares] = [0, 1]) {
    const { from, to } = this.files.find((file) => file.slug === slug);
    if ((to - from) / shares < count) throw new Error(`${this.users} users are too few: ${slug} needs ${count * shares} usernames`);
    const stride = (to - from) / (count * shares);
    return Array.from({ length: count }, (_, at) => username(from + Math.floor((at * shares + share) * stride)));
  }

  /** Usernames that no user has. They sort among those of the users. */
  unknownUsernames(count) {
    return Array.from({ length: count }, (_, at) => username(MAX_USERS + at));
  }

  /** A file for `import billers`. */
  billersFile(issuer) {
    const oidc = { issuer, client_id: `signpost-${MIGRATED}`, client_secret: `demo-client-secret-of-${MIGRATED}` };
    const billers = this.billers.map(({ slug, isMigrated }) => ({
      slug,
      name: slug.split("-").map((word) => word[0].toUpperCase() + word.slice(1)).join(" "),
      ...(isMigrated && { state: "active", oidc }),
    }));
    return JSON.stringify({ billers });
  }
}

export function username(number) {
  // Within the integers that a number holds exactly: below 2^53.
  return `user${String((number * MULTIPLIER) % PRIME).padStart(8, "0")}`;
}

/** Writes a user file of these numbers as a stream; returns its path. */
export async function writeUsers(path, from, to) {
  const out = createWriteStream(path);
  const closed = once(out, "close");
  out.write("username,email,first_name,last_name,status\n");
  for (let number = from; number < to; ) {
    const rows = [];
    for (const end = Math.min(to, number + 5000); number < end; number += 1) {
      const name = username(number);
      rows.push(`${name},${name}@mail.example,First${name.slice(4)},Last${name.slice(4)},active\n`);
    }
    if (!out.write(rows.join(""))) await once(out, "drain");
  }
  out.end();
  await closed;
  return path;
}
