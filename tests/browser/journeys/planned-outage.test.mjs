// Pages about a biller whose sign-in page is away as planned, or whose people have their passwords elsewhere.

import { test } from "node:test";
import { useGateway } from "../lib/gateway.mjs";
import { switchToSpanish, checkPage } from "../lib/checks.mjs";
import * as step from "../lib/steps.mjs";

const SLUG = "riverside-water";
const world = useGateway(async () => ({
  billers: [
    {
      slug: SLUG,
      name: "Riverside Water",
      state: "active",
      secureauth: { sso: true },
      support: { phone: "+1 555 010 0101", alternative_payment: "Pay by mail with the slip at the bottom of your bill." },
      oidc: { issuer: "http://127.0.0.1:9/none", client_id: "none", client_secret: "none" },
    },
  ],
}));

const PAGES = {
  "reset-external": async ({ page }) => {
    await page.goto(world.url(`/b/${SLUG}/reset`));
    await step.expectHeading(page, "Your password for Riverside Water");
  },
  "outage-planned": async (visitor) => {
    visitor.expectedStatuses.add(503);
    const day = 24 * 3600 * 1000;
    const [from, until] = [Date.now() - day, Date.now() + day].map((at) => new Date(at).toISOString());
    await world.command("maintenance", SLUG, "--from", from, "--until", until);
    await visitor.page.goto(world.url(`/b/${SLUG}`));
    await step.expectHeading(visitor.page, "Sorry, signing in to Riverside Water is unavailable");
  },
};

for (const [name, open] of Object.entries(PAGES)) {
  test(`page ${name} is accessible and fits`, { timeout: 120_000 }, async () => {
    const visitor = await world.newVisitor();
    try {
      await open(visitor);
      await checkPage(visitor.page, name);
      await switchToSpanish(visitor.page);
      await checkPage(visitor.page, `${name}-es`);
      await visitor.verify();
    } catch (error) {
      throw await visitor.explain(name, error);
    } finally {
      await visitor.close();
    }
  });
}
