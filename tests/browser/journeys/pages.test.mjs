// Every page at two widths: no accessibility violation, nothing to scroll sideways, and a picture to look at.

import { test } from "node:test";
import { switchToSpanish, checkPage } from "../lib/checks.mjs";
import { useWorld } from "../lib/world.mjs";
import * as step from "../lib/steps.mjs";

const world = useWorld();

/** How to get to a page; what is not under the gateway is a stand-in's. */
const PAGES = {
  login: (v) => v.page.goto(world.url("/login")),
  "login-error": async (v) => {
    await v.page.goto(world.url("/login"));
    await v.page.getByRole("button", { name: "Continue" }).click();
    await v.page.getByRole("alert").waitFor();
  },
  "login-error-long": async (v) => {
    await step.typeUsername(v, "x".repeat(400));
    await v.page.getByRole("alert").waitFor();
  },
  notice: async (v) => {
    await step.typeUsername(v, "one-moved");
    await step.expectHeading(v.page, "Riverside Water has a new sign-in page");
  },
  "login-remembered": async (v) => {
    await remember(v, "riverside-water");
    await v.page.goto(world.url("/login"));
  },
  "login-remembered-two": async (v) => {
    await remember(v, "riverside-water");
    await remember(v, "maple-electric");
    await v.page.goto(world.url("/login"));
  },
  "login-forgotten": async (v) => {
    await remember(v, "riverside-water");
    await v.page.goto(world.url("/login"));
    await v.page.getByRole("button", { name: "Forget my billers on this device" }).click();
    await v.page.getByRole("status").waitFor();
  },
  "notice-short": async (v) => {
    for (let times = 0; times < 4; times += 1) await step.typeUsername(v, "one-moved");
    await step.expectHeading(v.page, "Sign in to Riverside Water");
  },
  "recover-remembered": async (v) => {
    await remember(v, "riverside-water");
    await v.page.goto(world.url("/recover"));
  },
  "recover-requested": (v) => v.page.goto(world.url("/recover")),
  "recover-choose-biller": async (v) => {
    await step.typeUsername(v, "two-moved");
    await step.expectHeading(v.page, "Which biller do you want to sign in to?");
  },
  "recover-failed": async (v) => {
    await failedLegacy(v);
    await v.page.getByRole("link", { name: "I still can't sign in" }).click();
    await step.expectHeading(v.page, "We couldn’t sign you in");
  },
  "recover-search-results": (v) => v.page.goto(world.url("/recover?q=river")),
  "recover-no-search-results": (v) => v.page.goto(world.url("/recover?q=Saint+Nowhere+Telephones")),
  "recover-error": (v) => v.page.goto(world.url("/recover?q=")),
  "recover-unknown": (v) => v.page.goto(world.url("/b/no-such-biller")),
  reset: (v) => v.page.goto(world.url("/reset")),
  "reset-error": async (v) => {
    await v.page.goto(world.url("/reset"));
    await v.page.getByRole("button", { name: "Continue" }).click();
    await v.page.getByRole("alert").waitFor();
  },
  "reset-sent": async (v) => {
    await v.page.goto(world.url("/reset"));
    await v.page.getByLabel("Username").fill("one-legacy");
    await v.page.getByRole("button", { name: "Continue" }).click();
    await step.expectHeading(v.page, "How to choose a new password");
  },
  "reset-biller": (v) => v.page.goto(world.url("/b/riverside-water/reset")),
  links: (v) => v.page.goto(world.url("/recover/links")),
  "links-error": async (v) => {
    await v.page.goto(world.url("/recover/links"));
    await v.page.getByRole("button", { name: "Send me the message" }).click();
    await v.page.getByRole("alert").waitFor();
  },
  "links-sent": async (v) => {
    await v.page.goto(world.url("/recover/links"));
    await v.page.getByLabel("Email address or username").fill("nobody@mail.example");
    await v.page.getByRole("button", { name: "Send me the message" }).click();
    await step.expectHeading(v.page, "Check your email");
  },
  help: (v) => v.page.goto(world.url("/help")),
  "help-biller": (v) => v.page.goto(world.url("/help?biller=riverside-water")),
  "api-docs": (v) => v.page.goto(world.url("/api/docs")),
  outage: async (v) => {
    v.expectedStatuses.add(503);
    await step.typeUsername(v, "issuer-down");
    await step.expectHeading(v.page, "Sorry, there is a problem with signing in to Cedar County");
  },
  "error-not-found": (v) => v.page.goto(world.url("/nope")),
  "error-changed-link": (v) => v.page.goto(world.url("/b/riverside-water?h=tampered")),
  "error-sent-back": async (v) => {
    // Handed over twice, and here again at once.
    await signIn(v);
    await v.page.goto(world.url("/go/riverside-water"));
    await v.page.goto(world.url("/b/riverside-water"));
    await step.expectHeading(v.page, "Riverside Water sent you back to us");
  },
  "error-cancelled": async (v) => {
    await v.page.goto(world.url("/b/riverside-water"));
    await v.page.getByRole("button", { name: "Cancel" }).click();
    await step.expectHeading(v.page, "You did not sign in");
  },
  "error-used-before": async (v) => {
    await signIn(v);
    const { page } = v;
    await page.goto(world.url("/logout"));
    await page.getByRole("button", { name: "Sign out of Riverside Water" }).click();
    await step.expectHeading(page, "You are signed out of Riverside Water");
    await page.goto(v.lastRequest("/callback/riverside-water?"));
    await step.expectHeading(page, "This sign-in was already used");
  },
  choose: async (v) => {
    await signInTwice(v);
    await v.page.goto(world.url("/"));
    await step.expectHeading(v.page, "Where do you want to go?");
  },
  "logout-nobody": (v) => v.page.goto(world.url("/logout")),
  "logout-one": async (v) => {
    await signIn(v);
    await v.page.goto(world.url("/logout"));
  },
  "logout-two": async (v) => {
    await signInTwice(v);
    await v.page.goto(world.url("/logout"));
  },
  "signed-out-plain": (v) => v.page.goto(world.url("/signed-out")),
  "signed-out": async (v) => {
    await signIn(v);
    await signOut(v);
  },
  "signed-out-remaining": async (v) => {
    await signInTwice(v);
    await signOut(v);
  },
  "secureauth-sign-in": (v) => v.page.goto(world.url("/b/riverside-water")),
  "secureauth-wrong": async (v) => {
    await v.page.goto(world.url("/b/riverside-water"));
    await step.signIn(v.page, "one-moved", "wrong");
    await v.page.getByRole("alert").waitFor();
  },
  "secureauth-account": (v) => v.page.goto(`${world.secureauth}/demo/riverside-water/`),
  "legacy-sign-in": async (v) => {
    await step.typeUsername(v, "one-legacy");
    await step.expectLegacyLogin(v, "one-legacy");
  },
  "legacy-wrong": failedLegacy,
  "legacy-signed-in": async (v) => {
    await step.typeUsername(v, "one-legacy");
    await step.signIn(v.page);
    await step.expectHeading(v.page, "Signed in (legacy)");
  },
  "legacy-reset": (v) => v.page.goto(`${world.legacy}/reset`),
  "portal-billers": (v) => v.page.goto(world.portal),
  "portal-confirm": async (v) => {
    await v.page.goto(world.url("/b/riverside-water"));
    await step.signIn(v.page, "one-moved");
    await step.expectHeading(v.page, "You are about to enter Riverside Water as one-moved");
  },
  "portal-signed-in": signIn,
  "portal-gone": async (v) => {
    await v.page.goto(`${world.portal}/handoff?token=spent`);
    await step.expectHeading(v.page, "This sign-in link was already used or is too old");
  },
};

async function remember(v, slug) {
  await v.page.goto(world.url(`/recover?remember=yes&q=${slug}`));
  await v.page.locator(".biller-links a").first().click();
  await v.page.getByLabel("Password").waitFor();
}

async function signIn(v) {
  await step.signInAt(v, "riverside-water", "Riverside Water", "two-moved");
}

async function signInTwice(v) {
  await signIn(v);
  await step.signInAt(v, "maple-electric", "Maple Electric", "two-moved");
}

async function signOut(v) {
  await v.page.goto(world.url("/logout"));
  await v.page.getByRole("button", { name: "Sign out of Riverside Water" }).click();
  await step.expectHeading(v.page, "You are signed out of Riverside Water");
}

async function failedLegacy(v) {
  await step.typeUsername(v, "one-legacy");
  await step.signIn(v.page, undefined, "wrong");
  await v.page.getByRole("alert").waitFor();
}

for (const [name, open] of Object.entries(PAGES)) {
  test(`page ${name} is accessible and fits`, { timeout: 120_000 }, async () => {
    const visitor = await world.newVisitor();
    const { page } = visitor;
    try {
      await open(visitor);
      await checkPage(page, name);
      // The page for programmers is in English.
      if (page.url().startsWith(world.gateway) && name !== "api-docs") {
        await switchToSpanish(page);
        await checkPage(page, `${name}-es`);
      }
      await visitor.verify();
    } catch (error) {
      throw await visitor.explain(name, error);
    } finally {
      await visitor.close();
    }
  });
}
