// Several tabs, Back, reloads, another browser: nobody gets lost.

import { useWorld } from "../lib/world.mjs";
import * as step from "../lib/steps.mjs";

const world = useWorld();
const RIVERSIDE = ["riverside-water", "Riverside Water"];
const MAPLE = ["maple-electric", "Maple Electric"];

world.journey("two tabs at two billers each end at their own", async (visitor) => {
  const first = visitor.page;
  const second = await visitor.context.newPage();
  await first.goto(world.url("/b/riverside-water"));
  await second.goto(world.url("/b/maple-electric"));
  await step.expectSecureAuthLogin(visitor, ...RIVERSIDE, "", first);
  await step.expectSecureAuthLogin(visitor, ...MAPLE, "", second);
  await step.signIn(first, "two-moved");
  await step.confirmHandoff(first, "Riverside Water", "two-moved");
  await step.expectPortal(visitor, "Riverside Water", "two-moved", first);
  await step.signIn(second, "two-moved");
  await step.confirmHandoff(second, "Maple Electric", "two-moved");
  await step.expectPortal(visitor, "Maple Electric", "two-moved", second);
});

world.journey("two tabs that wait for a yes each enter what they asked about", async (visitor) => {
  const first = visitor.page;
  const second = await visitor.context.newPage();
  for (const [page, biller] of [[first, RIVERSIDE], [second, MAPLE]]) {
    await page.goto(world.url(`/b/${biller[0]}`));
    await step.expectSecureAuthLogin(visitor, ...biller, "", page);
    await step.signIn(page, "two-moved");
    await step.expectHeading(page, `You are about to enter ${biller[1]} as two-moved`);
  }
  await step.confirmHandoff(first, "Riverside Water", "two-moved");
  await step.expectPortal(visitor, "Riverside Water", "two-moved", first);
  await step.confirmHandoff(second, "Maple Electric", "two-moved");
  await step.expectPortal(visitor, "Maple Electric", "two-moved", second);
});

world.journey("two tabs at the same biller both end in its portal", async (visitor) => {
  const first = visitor.page;
  const second = await visitor.context.newPage();
  for (const page of [first, second]) {
    await page.goto(world.url("/b/riverside-water"));
    await step.expectSecureAuthLogin(visitor, ...RIVERSIDE, "", page);
  }
  for (const page of [second, first]) {
    await step.signIn(page, "one-moved");
    await step.confirmHandoff(page, "Riverside Water", "one-moved");
    await step.expectPortal(visitor, "Riverside Water", "one-moved", page);
  }
});

world.journey("Back from the sign-in to the notice, and on again", async (visitor) => {
  const { page } = visitor;
  await step.typeUsername(visitor, "one-moved");
  for (let round = 0; round < 2; round += 1) {
    await step.expectHeading(page, "Riverside Water has a new sign-in page");
    await page.getByRole("link", { name: "Continue to Riverside Water sign-in" }).click();
    await step.expectSecureAuthLogin(visitor, ...RIVERSIDE, "one-moved");
    if (round === 0) await page.goBack();
  }
  await step.signIn(page);
  await step.confirmHandoff(page, "Riverside Water", "one-moved");
  await step.expectPortal(visitor, "Riverside Water", "one-moved");
});

world.journey("Back to what a form answered shows it again", async (visitor) => {
  const { page } = visitor;
  visitor.expectedStatuses.add(503);
  const answers = [
    ["", "Sign in"],
    ["two-moved", "Which biller do you want to sign in to?"],
    ["issuer-down", "Sorry, there is a problem with signing in to Cedar County"],
  ];
  for (const [username, title] of answers) {
    await step.typeUsername(visitor, username);
    await page.locator("footer").waitFor();
    await step.expectHeading(page, title);
    await page.getByRole("link", { name: "More help with signing in" }).click();
    await page.getByRole("heading", { level: 1, name: "Get help signing in" }).waitFor();
    await page.goBack();
    await step.expectHeading(page, title);
  }
});

world.journey("Back after signing in ends in the portal again", async (visitor) => {
  const { page } = visitor;
  await step.signInAt(visitor, ...RIVERSIDE, "one-moved");
  await page.goBack();
  await step.expectPortal(visitor, "Riverside Water", "one-moved");
  // One further back is the form that was already sent.
  await page.goto(world.url("/b/riverside-water"));
  await step.expectSecureAuthLogin(visitor, ...RIVERSIDE);
  await step.signIn(page, "one-moved");
  await step.expectHeading(page, "You are about to enter Riverside Water as one-moved");
  await page.goBack();
  await step.expectHeading(page, "Sign in to Riverside Water");
  await step.signIn(page, "one-moved");
  await step.confirmHandoff(page, "Riverside Water", "one-moved");
  await step.expectPortal(visitor, "Riverside Water", "one-moved");
});

world.journey("the callback loaded again leads to the portal", async (visitor) => {
  const { page } = visitor;
  await step.signInAt(visitor, ...RIVERSIDE, "one-moved");
  await page.goto(visitor.lastRequest("/callback/riverside-water?"));
  await step.confirmHandoff(page, "Riverside Water", "one-moved");
  await step.expectPortal(visitor, "Riverside Water", "one-moved");
});

world.journey("the callback of somebody else, in another browser, leads to a page with a way on", async (visitor) => {
  await step.signInAt(visitor, ...RIVERSIDE, "one-moved");
  const { page } = await visitor.inAnotherBrowser();
  await page.goto(visitor.lastRequest("/callback/riverside-water?"));
  await step.expectHeading(page, "This sign-in was already used");
  await step.expectHelp(page);
  await page.locator("main a.button").click();
  await step.expectHeading(page, "Sign in to Riverside Water");
});

world.journey("a sign-in that is finished in another browser starts again there", async (visitor) => {
  await visitor.page.goto(world.url("/b/riverside-water"));
  const { page } = await visitor.inAnotherBrowser();
  await page.goto(visitor.page.url());
  await step.signIn(page, "one-moved");
  await step.expectHeading(page, "Sign in to Riverside Water");
  await step.signIn(page, "one-moved");
  await step.confirmHandoff(page, "Riverside Water", "one-moved");
  await step.expectHeading(page, "Welcome to Riverside Water");
});

world.journey("the callback after signing out leads to a page with a way on", async (visitor) => {
  const { page } = visitor;
  await step.signInAt(visitor, ...RIVERSIDE, "one-moved");
  const callback = visitor.lastRequest("/callback/riverside-water?");
  await page.goto(world.url("/logout"));
  await page.getByRole("button", { name: "Sign out of Riverside Water" }).click();
  await step.expectHeading(page, "You are signed out of Riverside Water");
  await page.goto(callback);
  await step.expectHeading(page, "This sign-in was already used");
  await step.expectHelp(page);
});
