// Every user of the demo types the name at the shared address.

import assert from "node:assert/strict";
import { useWorld } from "../lib/world.mjs";
import * as step from "../lib/steps.mjs";

const world = useWorld();

for (const username of ["one-legacy", "moved-and-legacy", "two-legacy", "switched-off"]) {
  world.journey(`${username} signs in at the legacy portal`, async (visitor) => {
    await step.typeUsername(visitor, username);
    await step.expectLegacyLogin(visitor, username);
    assert.match(await visitor.page.locator("#reference").innerText(), step.REFERENCE);
    await step.signIn(visitor.page);
    await step.expectHeading(visitor.page, "Signed in (legacy)");
    assert.equal(await visitor.page.locator("#username").innerText(), username);
  });
}

world.journey("an unknown name ends at the legacy portal like any other", async (visitor) => {
  await step.typeUsername(visitor, "nobody-knows-me");
  await step.expectLegacyLogin(visitor, "nobody-knows-me");
});

world.journey("what was typed is passed on as typed", async (visitor) => {
  await step.typeUsername(visitor, "  One-Legacy ");
  await step.expectLegacyLogin(visitor, "One-Legacy");
});

world.journey("one-moved reads the notice, signs in and sees the portal", async (visitor) => {
  const { page } = visitor;
  await step.typeUsername(visitor, "one-moved");
  await step.expectHeading(page, "Riverside Water has a new sign-in page");
  await step.expectHelp(page);
  assert.equal(`${await page.locator(".address").innerText()}/`, world.hostOf("riverside-water"));
  await page.getByRole("link", { name: "Continue to Riverside Water sign-in" }).click();
  await step.expectSecureAuthLogin(visitor, "riverside-water", "Riverside Water", "one-moved");
  await step.signIn(page);
  await step.confirmHandoff(page, "Riverside Water", "one-moved");
  await step.expectPortal(visitor, "Riverside Water", "one-moved");
  assert.equal(await page.locator("#biller").innerText(), "riverside-water");
});

world.journey("somebody who is not a customer of that biller finds a way on from the notice", async (visitor) => {
  await step.typeUsername(visitor, "one-moved");
  await visitor.page.getByRole("link", { name: "This isn’t my biller" }).click();
  await step.expectHeading(visitor.page, "Having trouble signing in?");
  await step.expectHelp(visitor.page);
});

for (const username of ["two-moved", "shared-name"]) {
  world.journey(`${username} is asked for the biller, and none is named`, async (visitor) => {
    const { page } = visitor;
    await step.typeUsername(visitor, username);
    await step.expectHeading(page, "Which biller do you want to sign in to?");
    await step.expectHelp(page);
    assert.doesNotMatch(await page.content(), /riverside|maple|harbor|oakdale|pinehill|summit|cedar/i);
    assert.equal(await page.getByLabel("Username").inputValue(), username);
  });
}

world.journey("issuer-down sees the outage page of Cedar County", async (visitor) => {
  const { page } = visitor;
  visitor.expectedStatuses.add(503);
  await step.typeUsername(visitor, "issuer-down");
  await step.expectHeading(page, "Sorry, there is a problem with signing in to Cedar County");
  await step.expectHelp(page);
  assert.ok((await page.locator('a[href="tel:+15550100107"]').count()) > 0);
  await page.getByRole("link", { name: "Try again" }).click();
  await step.expectHeading(page, "Sorry, there is a problem with signing in to Cedar County");
});
