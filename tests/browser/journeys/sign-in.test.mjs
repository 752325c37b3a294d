// Signing in at a biller, and out again.

import assert from "node:assert/strict";
import { useWorld } from "../lib/world.mjs";
import * as step from "../lib/steps.mjs";

const world = useWorld();
const RIVERSIDE = ["riverside-water", "Riverside Water"];

world.journey("a visit that the portal started ends there without a question", async (visitor) => {
  const { page } = visitor;
  await page.goto(world.portal);
  await page.getByRole("link", { name: "Sign in to Riverside Water" }).click();
  await step.expectSecureAuthLogin(visitor, ...RIVERSIDE);
  await step.signIn(page, "one-moved");
  await step.expectPortal(visitor, "Riverside Water", "one-moved");
});

world.journey("a wrong password, then the right one", async (visitor) => {
  const { page } = visitor;
  await page.goto(world.url("/b/riverside-water"));
  await step.expectSecureAuthLogin(visitor, ...RIVERSIDE);
  await step.signIn(page, "one-moved", "not-my-password");
  await page.getByRole("alert").waitFor();
  assert.equal(await page.getByLabel("Username").inputValue(), "one-moved");
  await step.signIn(page);
  await step.confirmHandoff(page, "Riverside Water", "one-moved");
  await step.expectPortal(visitor, "Riverside Water", "one-moved");
});

world.journey("cancelling leads back to us, and from there to the sign-in with the name kept", async (visitor) => {
  const { page } = visitor;
  await step.typeUsername(visitor, "one-moved");
  await page.getByRole("link", { name: "Continue to Riverside Water sign-in" }).click();
  await step.expectSecureAuthLogin(visitor, ...RIVERSIDE, "one-moved");
  await page.getByRole("button", { name: "Cancel" }).click();
  await step.expectHeading(page, "You did not sign in");
  await step.expectHelp(page);
  await page.locator("main a.button").click();
  await step.expectSecureAuthLogin(visitor, ...RIVERSIDE, "one-moved");
  await step.signIn(page);
  await step.confirmHandoff(page, "Riverside Water", "one-moved");
  await step.expectPortal(visitor, "Riverside Water", "one-moved");
});

world.journey("signing out ends both sides", async (visitor) => {
  const { page } = visitor;
  await step.signInAt(visitor, ...RIVERSIDE, "one-moved");
  await page.goto(`${world.secureauth}/demo/riverside-water/`);
  assert.equal(await page.locator("#account").innerText(), "Signed in as one-moved");
  // Signed in, the first page leads on to the portal.
  await page.goto(world.url("/"));
  await step.confirmHandoff(page, "Riverside Water", "one-moved");
  await step.expectPortal(visitor, "Riverside Water", "one-moved");

  await page.getByRole("button", { name: "Sign out" }).click();
  await step.expectHeading(page, "Sign out");
  await step.expectHelp(page);
  await page.getByRole("button", { name: "Sign out of Riverside Water" }).click();
  await step.expectHeading(page, "You are signed out of Riverside Water");
  await step.expectHelp(page);

  await page.goto(`${world.secureauth}/demo/riverside-water/`);
  assert.equal(await page.locator("#account").innerText(), "Not signed in");
  await page.goto(world.url("/"));
  await step.expectHeading(page, "Sign in");
  await page.goto(world.portal);
  await step.expectHeading(page, "Pay your bills");
});

world.journey("after signing out, signing in again leads to the same biller", async (visitor) => {
  const { page } = visitor;
  await step.signInAt(visitor, ...RIVERSIDE, "one-moved");
  await page.goto(world.url("/logout"));
  await page.getByRole("button", { name: "Sign out of Riverside Water" }).click();
  await step.expectHeading(page, "You are signed out of Riverside Water");
  await page.getByRole("link", { name: "Sign in again" }).click();
  await step.expectSecureAuthLogin(visitor, ...RIVERSIDE);
});

world.journey("signed in at two billers: a choice, and signing out of one keeps the other", async (visitor) => {
  const { page } = visitor;
  await step.signInAt(visitor, ...RIVERSIDE, "two-moved");
  await step.signInAt(visitor, "maple-electric", "Maple Electric", "two-moved");
  await page.goto(world.url("/"));
  await step.expectHeading(page, "Where do you want to go?");
  await step.expectHelp(page);
  await page.getByRole("link", { name: "Riverside Water" }).click();
  await step.confirmHandoff(page, "Riverside Water", "two-moved");
  await step.expectPortal(visitor, "Riverside Water", "two-moved");

  await page.goto(world.url("/"));
  await page.getByRole("link", { name: "Sign in to another biller" }).click();
  await step.expectHeading(page, "Sign in");
  await page.goto(world.url("/logout"));
  await page.getByRole("button", { name: "Sign out of Maple Electric" }).click();
  await step.expectHeading(page, "You are signed out of Maple Electric");
  await page.getByText("You are still signed in to").waitFor();
  await page.goto(world.url("/"));
  await step.confirmHandoff(page, "Riverside Water", "two-moved");
  await step.expectPortal(visitor, "Riverside Water", "two-moved");
});

world.journey("signing out where nobody is signed in", async (visitor) => {
  await visitor.page.goto(world.url("/logout"));
  await step.expectHeading(visitor.page, "Sign out");
  await visitor.page.getByText("You are not signed in to any biller").waitFor();
  await step.expectHelp(visitor.page);
});
