// Whether every page was looked at: the headings that templates and program can say, in English and in Spanish, are among those
// that were seen. Of the pages that say what went wrong, all in one template, some suffice.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { HERE } from "./lib/world.mjs";
import { HEADINGS } from "./lib/checks.mjs";

const ROOT = join(HERE, "../..");
const TEMPLATES = join(ROOT, "templates/login");

const keys = new Set();
for (const file of readdirSync(TEMPLATES)) {
  const lines = readFileSync(join(TEMPLATES, file), "utf8").split("\n");
  for (const line of lines.filter((one) => one.includes("<h1>"))) {
    for (const [, key] of line.matchAll(/i18n\.(?:t|t_with)\("([a-z-]+)"/g)) keys.add(key);
  }
}
const program = readFileSync(join(ROOT, "src/login/pages/recovery.rs"), "utf8");
for (const [, key] of program.matchAll(/RecoveryReason::\w+ => "([a-z-]+)"/g)) keys.add(key);
assert.ok(keys.size >= 20, `${keys.size} headings were found`);

const seen = readFileSync(HEADINGS, "utf8").split("\n");
const missing = [];
for (const language of ["en", "es"]) {
  const messages = readFileSync(join(ROOT, `locales/${language}.ftl`), "utf8").split("\n");
  for (const key of keys) {
    const text = messages.find((line) => line.startsWith(`${key} = `)).slice(key.length + 3);
    const [before, after] = text.split(/\{ \$\w+ \}/);
    const isSeen = (heading) => (after === undefined ? heading === text : heading.startsWith(before) && heading.endsWith(after));
    if (!seen.some(isSeen)) missing.push(`${language}: ${text}`);
  }
}
assert.deepEqual(missing, [], "pages that nobody looked at");
const errors = seen.filter((heading) => /^(We could|This|Too many|You did not|Riverside Water sent)/.test(heading));
assert.ok(new Set(errors).size >= 5, "pages that say what went wrong");
console.log(`${keys.size} headings, each seen in both languages`);
