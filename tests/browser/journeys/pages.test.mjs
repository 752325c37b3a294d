// Every page at two widths: no accessibility violation, nothing to scroll sideways, and a picture to look at.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { HERE, NARROW, WIDE, useWorld } from "../lib/world.mjs";
import * as step from "../lib/steps.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const PICTURES = join(HERE, "screenshots");
mkdirSync(PICTURES, { recursive: true });

/** What the demo's company and billers wrote themselves. */
const OWN_WORDS = ["Monday to Friday", "by mail with the slip"];

const world = useWorld();

/** How to get to a page; what is not under the gateway is a stand-in's. */
const PAGES = {
  login: (v) => v.page.goto(world.at("/login")),
  "login-error": async (v) => {
    await v.page.goto(world.at("/login"));
    await v.page.getByRole("button", { name: "Continue" }).click();
    await v.page.getByRole("alert").waitFor();
  },
  "login-error-long": async (v) => {
    await step.typeUsername(v, "x".repeat(400));
    await v.page.getByRole("alert").waitFor();
  },
  notice: async (v) => {
    await step.typeUsername(v, "one-moved");
    await step.heading(v.page, "Riverside Water has a new sign-in page");
  },
  "recover-asked": (v) => v.page.goto(world.at("/recover")),
  "recover-several": async (v) => {
    await step.typeUsername(v, "two-moved");
    await step.heading(v.page, "Which biller do you want to sign in to?");
  },
  "recover-failed": async (v) => {
    await failedLegacy(v);
    await v.page.getByRole("link", { name: "I still can't sign in" }).click();
    await step.heading(v.page, "We couldn’t sign you in");
  },
  "recover-unknown": (v) => v.page.goto(world.at("/b/no-such-biller")),
  reset: (v) => v.page.goto(world.at("/reset")),
  "reset-error": async (v) => {
    await v.page.goto(world.at("/reset"));
    await v.page.getByRole("button", { name: "Continue" }).click();
    await v.page.getByRole("alert").waitFor();
  },
  "reset-sent": async (v) => {
    await v.page.goto(world.at("/reset"));
    await v.page.getByLabel("Username").fill("one-legacy");
    await v.page.getByRole("button", { name: "Continue" }).click();
    await step.heading(v.page, "How to choose a new password");
  },
  "reset-biller": (v) => v.page.goto(world.at("/b/riverside-water/reset")),
  links: (v) => v.page.goto(world.at("/recover/links")),
  "links-error": async (v) => {
    await v.page.goto(world.at("/recover/links"));
    await v.page.getByRole("button", { name: "Send me the message" }).click();
    await v.page.getByRole("alert").waitFor();
  },
  "links-sent": async (v) => {
    await v.page.goto(world.at("/recover/links"));
    await v.page.getByLabel("Email address or username").fill("nobody@mail.example");
    await v.page.getByRole("button", { name: "Send me the message" }).click();
    await step.heading(v.page, "Look into your mail");
  },
  help: (v) => v.page.goto(world.at("/help")),
  "help-biller": (v) => v.page.goto(world.at("/help?biller=riverside-water")),
  outage: async (v) => {
    v.expected.add(503);
    await step.typeUsername(v, "issuer-down");
    await step.heading(v.page, "Sorry, there is a problem with signing in to Cedar County");
  },
  "error-not-found": (v) => v.page.goto(world.at("/nope")),
  "error-cancelled": async (v) => {
    await v.page.goto(world.at("/b/riverside-water"));
    await v.page.getByRole("button", { name: "Cancel" }).click();
    await step.heading(v.page, "You did not sign in");
  },
  "error-used-before": async (v) => {
    await signIn(v);
    const { page } = v;
    await page.goto(world.at("/logout"));
    await page.getByRole("button", { name: "Sign out of Riverside Water" }).click();
    await step.heading(page, "You are signed out of Riverside Water");
    await page.goto(v.lastRequest("/callback/riverside-water?"));
    await step.heading(page, "This sign-in was already used");
  },
  choose: async (v) => {
    await signInTwice(v);
    await v.page.goto(world.at("/"));
    await step.heading(v.page, "Where do you want to go?");
  },
  "logout-nobody": (v) => v.page.goto(world.at("/logout")),
  "logout-one": async (v) => {
    await signIn(v);
    await v.page.goto(world.at("/logout"));
  },
  "logout-two": async (v) => {
    await signInTwice(v);
    await v.page.goto(world.at("/logout"));
  },
  "signed-out": async (v) => {
    await signIn(v);
    await signOut(v);
  },
  "signed-out-still": async (v) => {
    await signInTwice(v);
    await signOut(v);
  },
  "secureauth-sign-in": (v) => v.page.goto(world.at("/b/riverside-water")),
  "secureauth-wrong": async (v) => {
    await v.page.goto(world.at("/b/riverside-water"));
    await step.signIn(v.page, "one-moved", "wrong");
    await v.page.getByRole("alert").waitFor();
  },
  "secureauth-account": (v) => v.page.goto(`${world.secureauth}/demo/riverside-water/`),
  "legacy-sign-in": async (v) => {
    await step.typeUsername(v, "one-legacy");
    await step.atLegacy(v, "one-legacy");
  },
  "legacy-wrong": failedLegacy,
  "legacy-signed-in": async (v) => {
    await step.typeUsername(v, "one-legacy");
    await step.signIn(v.page);
    await step.heading(v.page, "Signed in (legacy)");
  },
  "legacy-reset": (v) => v.page.goto(`${world.legacy}/reset`),
  "portal-billers": (v) => v.page.goto(world.portal),
  "portal-confirm": async (v) => {
    await v.page.goto(world.at("/b/riverside-water"));
    await step.signIn(v.page, "one-moved");
    await step.heading(v.page, "You are about to enter Riverside Water as one-moved");
  },
  "portal-signed-in": signIn,
  "portal-gone": async (v) => {
    await v.page.goto(`${world.portal}/handoff?token=spent`);
    await step.heading(v.page, "This sign-in link was already used or is too old");
  },
};

async function signIn(v) {
  await step.signInAt(v, "riverside-water", "Riverside Water", "two-moved");
}

async function signInTwice(v) {
  await signIn(v);
  await step.signInAt(v, "maple-electric", "Maple Electric", "two-moved");
}

async function signOut(v) {
  await v.page.goto(world.at("/logout"));
  await v.page.getByRole("button", { name: "Sign out of Riverside Water" }).click();
  await step.heading(v.page, "You are signed out of Riverside Water");
}

async function failedLegacy(v) {
  await step.typeUsername(v, "one-legacy");
  await step.signIn(v.page, undefined, "wrong");
  await v.page.getByRole("alert").waitFor();
}

for (const [name, open] of Object.entries(PAGES)) {
  test(`page ${name} is accessible and fits`, { timeout: 120_000 }, async () => {
    const visitor = await world.visitor();
    const { page } = visitor;
    try {
      await open(visitor);
      await look(page, name);
      if (page.url().startsWith(world.gateway)) {
        await inSpanish(page);
        await look(page, `${name}-es`);
      }
      await visitor.verify();
    } catch (error) {
      throw await visitor.explain(name, error);
    } finally {
      await visitor.close();
    }
  });
}

/** Looks at a page at both widths, in the light and in the dark. */
async function look(page, name) {
  await page.emulateMedia({ colorScheme: "light" });
  for (const size of [WIDE, NARROW]) {
    await page.setViewportSize(size);
    await page.screenshot({ path: join(PICTURES, `${name}-${size.width}.png`), fullPage: true });
    const widths = await page.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
    assert.ok(widths[0] <= size.width, `${widths[0]} px wide in ${size.width}`);
    assert.equal(widths[1], size.width);
    assert.deepEqual(await violations(page), [], `at ${size.width} px`);
    await tabStops(page, size);
  }
  await page.emulateMedia({ colorScheme: "dark" });
  await page.screenshot({ path: join(PICTURES, `${name}-${NARROW.width}-dark.png`), fullPage: true });
  assert.deepEqual(await violations(page), [], "in the dark");
}

/** The page's own way to Spanish: the same page, and all of it. */
async function inSpanish(page) {
  const english = await sentences(page);
  const field = page.getByRole("textbox");
  const typed = (await field.count()) ? await field.inputValue() : "";
  await page.locator(".language").getByText("Español").click();
  await page.locator("html[lang=es]").waitFor();
  const left = (await sentences(page)).filter((sentence) => english.includes(sentence));
  assert.deepEqual(left, [], "sentences that are still in English");
  assert.equal((await field.count()) ? await field.inputValue() : "", typed);
}

/** The texts of a page that are made of words of ours: of more than three words, and not what a biller wrote. */
async function sentences(page) {
  const texts = await page.locator("h1, h2, main p:not(.address), dt, dd, label, button, a").allInnerTexts();
  const isSentence = (text) => text.split(/\s+/).filter((word) => /\p{L}/u.test(word)).length > 3;
  return texts.filter((text) => isSentence(text) && !OWN_WORDS.some((words) => text.includes(words)));
}

/** What axe finds, in short. */
async function violations(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate(
    (values) => globalThis.axe.run(document, { runOnly: { type: "tag", values }, preload: false }),
    RULES,
  );
  return found.violations.map((v) => `${v.id}: ${v.nodes.map((node) => node.target.join(" ")).join(", ")}`);
}

/** Buttons, fields and links that stand alone are large enough for a finger (WCAG 2.5.8). */
async function tabStops(page, size) {
  const small = await page.evaluate(() =>
    [...document.querySelectorAll("button, input:not([type=hidden]), a.button")]
      .map((element) => [element.textContent || element.id, element.getBoundingClientRect()])
      .filter(([, box]) => box.width < 24 || box.height < 24)
      .map(([name]) => name),
  );
  assert.deepEqual(small, [], `too small at ${size.width} px`);
}
