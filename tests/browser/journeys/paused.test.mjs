// Pages of a gateway that signs in nobody: a biller paused, all billers paused, and too many attempts.

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
      support: { phone: "+1 555 010 0101", alternative_payment: { en: "Pay by mail.", es: "Pague por correo." } },
      branding: { accent: "#1d4e89", accent_dark: "#8fbdf0" },
      oidc: { issuer: "http://127.0.0.1:9/none", client_id: "none", client_secret: "none" },
    },
  ],
  limits: { exempt_loopback: false, lookups_per_username_per_hour: 3 },
}));

const PAGES = {
  "paused-biller": async ({ page }) => {
    await world.command("pause", SLUG);
    await page.goto(world.url(`/b/${SLUG}`));
    await step.expectHeading(page, "Signing in to Riverside Water is paused");
  },
  paused: async (visitor) => {
    await world.command("unpause", SLUG);
    await world.command("kill-switch", "hold");
    await step.typeUsername(visitor, "somebody");
    await step.expectHeading(visitor.page, "Signing in is paused");
  },
  "error-rate-limited": async (visitor) => {
    await world.command("kill-switch", "off");
    for (let times = 0; times < 4; times += 1) await step.typeUsername(visitor, "somebody-else");
    await step.expectHeading(visitor.page, "Too many attempts");
  },
};

for (const [name, open] of Object.entries(PAGES)) {
  test(`page ${name} is accessible and fits`, { timeout: 120_000 }, async () => {
    const visitor = await world.newVisitor();
    visitor.expectedStatuses.add(503);
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
