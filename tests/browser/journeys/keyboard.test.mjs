// The whole way with Tab and Enter alone.

import assert from "node:assert/strict";
import { useWorld } from "../lib/world.mjs";
import * as step from "../lib/steps.mjs";

const world = useWorld();

/** What our pages say on the way, by language; the other systems speak English. */
const LANGUAGES = {
  "en-US": {
    notice: "Riverside Water has a new sign-in page",
    on: "Continue to Riverside Water sign-in",
    signOut: "Sign out",
    signOutOf: "Sign out of Riverside Water",
    signedOut: "You are signed out of Riverside Water",
    cannotSignIn: "I still can’t sign in",
    recovery: "Having trouble signing in?",
    search: "Search",
    found: "Is it one of these billers?",
    skip: "Skip to main content",
  },
  "es-MX": {
    notice: "Riverside Water tiene una nueva página de inicio de sesión",
    on: "Continuar al inicio de sesión de Riverside Water",
    signOut: "Cerrar sesión",
    signOutOf: "Cerrar sesión en Riverside Water",
    signedOut: "Su sesión en Riverside Water está cerrada",
    cannotSignIn: "Sigo sin poder iniciar sesión",
    recovery: "¿Tiene problemas para iniciar sesión?",
    search: "Buscar",
    found: "¿Es alguno de estos facturadores?",
    skip: "Saltar al contenido principal",
  },
};

for (const [locale, says] of Object.entries(LANGUAGES)) {
  const options = { locale };

  world.journey(
    `one-moved signs in with the keyboard alone, ${locale}`,
    async (visitor) => {
      const { page } = visitor;
      await page.goto(world.url("/login"));
      await tabTo(page, "username");
      await page.keyboard.type("one-moved");
      await page.keyboard.press("Enter");
      await step.expectHeading(page, says.notice);
      await tabTo(page, says.on);
      await page.keyboard.press("Enter");
      await step.expectSecureAuthLogin(visitor, "riverside-water", "Riverside Water", "one-moved");
      await tabTo(page, "password");
      await page.keyboard.type(step.PASSWORD);
      await page.keyboard.press("Enter");
      await step.expectHeading(page, "You are about to enter Riverside Water as one-moved");
      await tabTo(page, "Continue");
      await page.keyboard.press("Enter");
      await step.expectPortal(visitor, "Riverside Water", "one-moved");
      await tabTo(page, "Sign out");
      await page.keyboard.press("Enter");
      await step.expectHeading(page, says.signOut);
      await tabTo(page, says.signOutOf);
      await page.keyboard.press("Enter");
      await step.expectHeading(page, says.signedOut);
    },
    options,
  );

  world.journey(
    `a biller is found with the keyboard alone, ${locale}`,
    async (visitor) => {
      const { page } = visitor;
      await page.goto(world.url("/login"));
      await tabTo(page, says.cannotSignIn);
      await page.keyboard.press("Enter");
      await step.expectHeading(page, says.recovery);
      await tabTo(page, "biller-name");
      await page.keyboard.type("mapel electirc");
      await tabTo(page, "remember");
      await page.keyboard.press("Space");
      await tabTo(page, says.search);
      await page.keyboard.press("Enter");
      await step.expectHeading(page, says.found);
      await tabTo(page, "Maple Electric");
      await page.keyboard.press("Enter");
      await step.expectSecureAuthLogin(visitor, "maple-electric", "Maple Electric");
    },
    options,
  );

  world.journey(
    `the first Tab offers to skip to the main content, ${locale}`,
    async ({ page }) => {
      await page.goto(world.url("/login"));
      await page.keyboard.press("Tab");
      assert.equal((await focused(page)).name, says.skip);
      await page.keyboard.press("Enter");
      await tabTo(page, "username", 1);
    },
    options,
  );
}

/** Presses Tab until something of this name or id has the focus, which must be seen. */
async function tabTo(page, wanted, most = 20) {
  for (let presses = 0; presses < most; presses += 1) {
    await page.keyboard.press("Tab");
    const found = await focusRing(page);
    assert.ok(found.outlined, `no focus ring on ${found.name || found.id}`);
    if (found.id === wanted || found.name === wanted) return;
  }
  assert.fail(`${wanted} cannot be reached with Tab`);
}

/** What has the focus, as soon as its ring is drawn: a page that was just loaded may draw it some frames later. */
async function focusRing(page) {
  let found;
  for (let frames = 0; frames < 120; frames += 1) {
    found = await focused(page);
    if (found.outlined) break;
    await page.evaluate(() => new Promise(requestAnimationFrame));
  }
  return found;
}

function focused(page) {
  return page.evaluate(() => {
    const element = document.activeElement;
    const style = getComputedStyle(element);
    const outlined = style.outlineStyle !== "none" && Number.parseFloat(style.outlineWidth) >= 2;
    return { id: element.id, name: element.textContent.trim(), outlined };
  });
}
