// The whole way with Tab and Enter alone.

import assert from "node:assert/strict";
import { useWorld } from "../lib/world.mjs";
import * as step from "../lib/steps.mjs";

const world = useWorld();

world.journey("one-moved signs in with the keyboard alone", async (visitor) => {
  const { page } = visitor;
  await page.goto(world.at("/login"));
  await tabTo(page, "username");
  await page.keyboard.type("one-moved");
  await page.keyboard.press("Enter");
  await step.heading(page, "Riverside Water has a new sign-in page");
  await tabTo(page, "Continue to Riverside Water sign-in");
  await page.keyboard.press("Enter");
  await step.atSecureauth(visitor, "riverside-water", "Riverside Water", "one-moved");
  await tabTo(page, "password");
  await page.keyboard.type(step.PASSWORD);
  await page.keyboard.press("Enter");
  await step.heading(page, "You are about to enter Riverside Water as one-moved");
  await tabTo(page, "Continue");
  await page.keyboard.press("Enter");
  await step.inPortal(visitor, "Riverside Water", "one-moved");
  await tabTo(page, "Sign out");
  await page.keyboard.press("Enter");
  await step.heading(page, "Sign out");
  await tabTo(page, "Sign out of Riverside Water");
  await page.keyboard.press("Enter");
  await step.heading(page, "You are signed out of Riverside Water");
});

world.journey("the first Tab offers to skip to the main content", async (visitor) => {
  const { page } = visitor;
  await page.goto(world.at("/login"));
  await page.keyboard.press("Tab");
  assert.equal((await focused(page)).name, "Skip to main content");
  await page.keyboard.press("Enter");
  await tabTo(page, "username", 1);
});

/** Presses Tab until something of this name or id has the focus, which must be seen. */
async function tabTo(page, wanted, most = 20) {
  for (let presses = 0; presses < most; presses += 1) {
    await page.keyboard.press("Tab");
    const found = await focused(page);
    assert.ok(found.outlined, `no focus ring on ${found.name}`);
    if (found.id === wanted || found.name === wanted) return;
  }
  assert.fail(`${wanted} cannot be reached with Tab`);
}

function focused(page) {
  return page.evaluate(() => {
    const element = document.activeElement;
    const style = getComputedStyle(element);
    const outlined = style.outlineStyle !== "none" && Number.parseFloat(style.outlineWidth) >= 2;
    return { id: element.id, name: element.textContent.trim(), outlined };
  });
}
