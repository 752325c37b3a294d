// Bad input: a clear page with a code for support and a way on, never a server error.

import assert from "node:assert/strict";
import { useWorld } from "../lib/world.mjs";
import * as step from "../lib/steps.mjs";

const world = useWorld();

world.journey("an empty username", async (visitor) => {
  const { page } = visitor;
  await page.goto(world.url("/login"));
  await page.getByRole("button", { name: "Continue" }).click();
  await page.getByRole("alert").waitFor();
  assert.match(await page.title(), /^Error: Sign in/);
  await page.getByRole("link", { name: "Enter your username" }).click();
  assert.equal(await page.evaluate(() => document.activeElement?.id), "username");
  await step.expectHelp(page);
});

world.journey("a username that is far too long", async (visitor) => {
  const { page } = visitor;
  await step.typeUsername(visitor, "x".repeat(5000));
  await page.getByRole("alert").waitFor();
  assert.match(await page.title(), /^Error: /);
  assert.equal((await page.getByLabel("Username").inputValue()).length, 254);
  await step.expectHelp(page);
});

world.journey("a username of the greatest length goes to the legacy portal", async (visitor) => {
  const username = "x".repeat(254);
  await step.typeUsername(visitor, username);
  await step.expectLegacyLogin(visitor, username);
});

world.journey("names in other scripts, emoji and markup are names like any other", async (visitor) => {
  for (const username of ["🧾💧", "имя пользователя", "<b>\"me\"</b>&amp;", "' or 1=1 --"]) {
    await step.typeUsername(visitor, username);
    await step.expectLegacyLogin(visitor, username);
  }
});

const MISSING = [
  ["/b/no-such-biller", "We don’t know that sign-in address"],
  ["/b/Not%20a%20slug", "We don’t know this address"],
  ["/nope", "This page does not exist"],
  ["/b/riverside-water?h=tampered", "This link is not valid"],
  ["/callback/riverside-water?code=x&state=y", "We could not complete your sign-in"],
  ["/callback/riverside-water", "We could not complete your sign-in"],
  ["/callback/no-such-biller?code=x&state=y", "We could not complete your sign-in"],
];
for (const [path, title] of MISSING) {
  world.journey(`${path} is explained`, async (visitor) => {
    const answer = await visitor.page.goto(world.url(path));
    assert.ok([400, 404].includes(answer.status()), `status ${answer.status()}`);
    await step.expectHeading(visitor.page, title);
    await step.expectHelp(visitor.page);
  });
}

world.journey("recovery with a token that was tampered with is plain recovery", async (visitor) => {
  await visitor.page.goto(world.url("/recover?t=tampered"));
  await step.expectHeading(visitor.page, "Having trouble signing in?");
});
