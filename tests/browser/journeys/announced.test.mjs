// Pages about a biller whose sign-in page is away as planned, or whose people have their passwords elsewhere.

import { test } from "node:test";
import { useGateway } from "../lib/gateway.mjs";
import { inSpanish, look } from "../lib/look.mjs";
import * as step from "../lib/steps.mjs";

const SLUG = "riverside-water";
const world = useGateway(async () => ({
  billers: [
    {
      slug: SLUG,
      name: "Riverside Water",
      state: "active",
      secureauth: { sso: true },
      support: { phone: "+1 555 010 0101", other_way_to_pay: "Pay by mail with the slip at the bottom of your bill." },
      oidc: { issuer: "http://127.0.0.1:9/none", client_id: "none", client_secret: "none" },
    },
  ],
}));

const PAGES = {
  "reset-elsewhere": async ({ page }) => {
    await page.goto(world.at(`/b/${SLUG}/reset`));
    await step.heading(page, "Your password for Riverside Water");
  },
  "outage-planned": async (visitor) => {
    visitor.expected.add(503);
    const day = 24 * 3600 * 1000;
    const [from, until] = [Date.now() - day, Date.now() + day].map((at) => new Date(at).toISOString());
    await world.command("maintenance", SLUG, "--from", from, "--until", until);
    await visitor.page.goto(world.at(`/b/${SLUG}`));
    await step.heading(visitor.page, "Sorry, signing in to Riverside Water is unavailable");
  },
};

for (const [name, open] of Object.entries(PAGES)) {
  test(`page ${name} is accessible and fits`, { timeout: 120_000 }, async () => {
    const visitor = await world.visitor();
    try {
      await open(visitor);
      await look(visitor.page, name);
      await inSpanish(visitor.page);
      await look(visitor.page, `${name}-es`);
      await visitor.verify();
    } catch (error) {
      throw await visitor.explain(name, error);
    } finally {
      await visitor.close();
    }
  });
}
