// Ways back in that go by mail.

import assert from "node:assert/strict";
import { useWorld } from "../lib/world.mjs";
import * as step from "../lib/steps.mjs";

const world = useWorld();

/** Looks into the mail until there is one to this address, and opens it; the newest first. */
async function openMail(page, to) {
  const line = page.getByRole("listitem").filter({ hasText: `to ${to}` }).getByRole("link").first();
  for (const until = Date.now() + 15_000; Date.now() < until; ) {
    await page.goto(world.mail);
    if ((await line.count()) > 0) return line.click();
  }
  throw new Error(`no mail to ${to}`);
}

world.journey("sign-in links come by mail and lead to the biller", async (visitor) => {
  const { page } = visitor;
  await step.typeUsername(visitor, "two-moved");
  await page.getByRole("link", { name: "Email me my username and sign-in links" }).click();
  assert.equal(await page.getByLabel("Email address or username").inputValue(), "two-moved", "typed once");
  await page.getByRole("button", { name: "Send me the message" }).click();
  await step.expectHeading(page, "Check your email");
  await openMail(page, "two-moved@mail.example");
  await step.expectHeading(page, "Your sign-in pages at Example Pay");
  await page.getByText("Username: two-moved").first().waitFor();
  await page.getByRole("link", { name: /maple-electric/ }).click();
  await step.expectHeading(page, "Sign in to Maple Electric");
});

world.journey("a mail is safe to look at as HTML", async (visitor) => {
  const { page } = visitor;
  await page.goto(world.url("/recover/links"));
  await page.getByLabel("Email address or username").fill("one-moved@mail.example");
  await page.getByRole("button", { name: "Send me the message" }).click();
  await openMail(page, "one-moved@mail.example");
  const address = await page.getByRole("link", { name: "As HTML" }).getAttribute("href");
  const answer = await page.goto(new URL(address, world.mail).href);
  assert.match(answer.headers()["content-security-policy"], /^sandbox; default-src 'none'/);
  await page.getByRole("heading", { name: "Riverside Water" }).waitFor();
});

world.journey("a forgotten password at a biller ends at its sign-in again", async (visitor) => {
  const { page } = visitor;
  await page.goto(`${world.hostOf("riverside-water")}.well-known/change-password`);
  await step.expectHeading(page, "Reset your password");
  assert.equal(step.urlWithoutQuery(page), world.url("/b/riverside-water/reset"));
  await page.getByLabel("Username").fill("one-moved");
  await page.getByRole("button", { name: "Continue" }).click();
  await step.expectHeading(page, "How to choose a new password");
  await page.getByRole("link", { name: "Back to Riverside Water sign-in" }).click();
  await step.expectHeading(page, "Sign in to Riverside Water");
});
