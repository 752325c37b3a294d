// The other doors: vanity hosts and paths, old addresses, recovery, reset and help.

import assert from "node:assert/strict";
import { useWorld } from "../lib/world.mjs";
import * as step from "../lib/steps.mjs";

const world = useWorld();
const RIVERSIDE = ["riverside-water", "Riverside Water"];

world.journey("a vanity host leads to its biller's sign-in and portal", async (visitor) => {
  const { page } = visitor;
  await page.goto(world.hostOf("riverside-water"));
  await step.expectSecureAuthLogin(visitor, ...RIVERSIDE);
  await step.signIn(page, "one-moved");
  await step.confirmHandoff(page, "Riverside Water", "one-moved");
  await step.expectPortal(visitor, "Riverside Water", "one-moved");
});

world.journey("the vanity host of a legacy biller leads to the legacy portal", async (visitor) => {
  await visitor.page.goto(world.hostOf("oakdale-city"));
  await step.expectLegacyLogin(visitor);
  assert.equal(await visitor.page.locator("#biller").innerText(), "oakdale-city");
});

world.journey("the vanity path of a legacy biller and of a suspended one lead to the legacy portal", async (visitor) => {
  for (const slug of ["oakdale-city", "summit-telecom"]) {
    await visitor.page.goto(world.url(`/b/${slug}`));
    await step.expectLegacyLogin(visitor);
  }
});

world.journey("the vanity path of a biller whose sign-in is down shows the outage page", async (visitor) => {
  visitor.expectedStatuses.add(503);
  await visitor.page.goto(world.url("/b/cedar-county"));
  await step.expectHeading(visitor.page, "Sorry, there is a problem with signing in to Cedar County");
  await step.expectHelp(visitor.page);
});

world.journey("a legacy deep link of a migrated biller shows its notice and keeps the return target", async (visitor) => {
  const { page } = visitor;
  await page.goto(world.url("/customer/login.aspx?biller=riverside-water"));
  await step.expectHeading(page, "Riverside Water has a new sign-in page");
  await page.getByRole("link", { name: "Continue to Riverside Water sign-in" }).click();
  await step.expectSecureAuthLogin(visitor, ...RIVERSIDE);
  await step.signIn(page, "one-moved");
  await step.confirmHandoff(page, "Riverside Water", "one-moved");
  await step.expectPortal(visitor, "Riverside Water", "one-moved");
  assert.equal(page.url(), `${world.portal}/bills`);
  assert.equal(await page.locator("#return-to").innerText(), "/bills");
});

world.journey("a legacy deep link of a legacy biller leads to the legacy portal", async (visitor) => {
  await visitor.page.goto(world.url("/customer/login.aspx?biller=oakdale-city"));
  await step.expectLegacyLogin(visitor);
});

world.journey("a legacy deep link without a biller leads to the login page", async (visitor) => {
  await visitor.page.goto(world.url("/customer/login.aspx"));
  await step.expectHeading(visitor.page, "Sign in");
  assert.equal(step.urlWithoutQuery(visitor.page), world.url("/login"));
});

world.journey("the return target is kept from a legacy deep link to the portal", async (visitor) => {
  const { page } = visitor;
  await page.goto(world.url("/paybill"));
  await step.expectHeading(page, "Sign in");
  // A mistake on the way must not lose it.
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("alert").waitFor();
  await page.getByLabel("Username").fill("one-moved");
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("link", { name: "Continue to Riverside Water sign-in" }).click();
  await step.expectSecureAuthLogin(visitor, ...RIVERSIDE, "one-moved");
  await step.signIn(page);
  await step.confirmHandoff(page, "Riverside Water", "one-moved");
  await step.expectPortal(visitor, "Riverside Water", "one-moved");
  assert.equal(page.url(), `${world.portal}/bills/pay`);
});

world.journey("a failed legacy sign-in leads to recovery with the name kept", async (visitor) => {
  const { page } = visitor;
  await step.typeUsername(visitor, "moved-and-legacy");
  await step.expectLegacyLogin(visitor, "moved-and-legacy");
  await step.signIn(page, undefined, "not-my-password");
  await page.getByRole("alert").waitFor();
  await page.getByRole("link", { name: "I still can't sign in" }).click();
  await step.expectHeading(page, "We couldn’t sign you in");
  await step.expectHelp(page);
  assert.equal(await page.getByLabel("Username").inputValue(), "moved-and-legacy");
  assert.doesNotMatch(await page.content(), /riverside|oakdale/i);
  await page.getByRole("button", { name: "Continue" }).click();
  await step.expectLegacyLogin(visitor, "moved-and-legacy");
});

world.journey("resetting a password looks the same for everybody", async (visitor) => {
  const { page } = visitor;
  const seen = [];
  for (const username of ["one-legacy", "one-moved", "nobody-knows-me"]) {
    await page.goto(world.url("/login"));
    await page.getByRole("link", { name: "Forgot password?" }).click();
    await step.expectHeading(page, "Reset your password");
    await page.getByLabel("Username").fill(username);
    await page.getByRole("button", { name: "Continue" }).click();
    await step.expectHeading(page, "How to choose a new password");
    await step.expectHelp(page);
    seen.push((await page.locator("main").innerText()).trim());
    await page.getByRole("link", { name: "Reset it at Example Pay" }).click();
    await step.expectHeading(page, "Reset your legacy password");
    assert.equal(await page.getByLabel("Username").inputValue(), username);
  }
  assert.equal(new Set(seen).size, 1);
});

world.journey("recovery and help, from the first page and about a biller", async (visitor) => {
  const { page } = visitor;
  await page.goto(world.url("/login"));
  await page.getByRole("link", { name: "I still can’t sign in" }).click();
  await step.expectHeading(page, "Having trouble signing in?");
  await step.expectHelp(page);
  await page.goto(world.url("/login"));
  await page.getByRole("link", { name: "Get help signing in" }).click();
  await step.expectHeading(page, "Get help signing in");
  await step.expectHelp(page);
  await page.goto(world.url("/help?biller=riverside-water"));
  await step.expectHeading(page, "Get help signing in to Riverside Water");
  await step.expectHelp(page);
  assert.ok((await page.locator('footer a[href="tel:+15550100101"]').count()) > 0);
  await page.goto(world.url("/help?biller=nobody"));
  await step.expectHeading(page, "Get help signing in");
});

