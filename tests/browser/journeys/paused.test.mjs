// Pages of a gateway that lets nobody in just now: a biller held, everybody held, and too many tries.

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
      support: { phone: "+1 555 010 0101", other_way_to_pay: { en: "Pay by mail.", es: "Pague por correo." } },
      branding: { accent: "#1d4e89", accent_dark: "#8fbdf0" },
      oidc: { issuer: "http://127.0.0.1:9/none", client_id: "none", client_secret: "none" },
    },
  ],
  limits: { exempt_loopback: false, lookups_per_name_per_hour: 3 },
}));

const PAGES = {
  "hold-biller": async ({ page }) => {
    await world.command("hold", SLUG);
    await page.goto(world.at(`/b/${SLUG}`));
    await step.heading(page, "Signing in to Riverside Water is paused");
  },
  hold: async (visitor) => {
    await world.command("release", SLUG);
    await world.command("kill-switch", "hold");
    await step.typeUsername(visitor, "somebody");
    await step.heading(visitor.page, "Signing in is paused");
  },
  "error-too-many": async (visitor) => {
    await world.command("kill-switch", "off");
    for (let times = 0; times < 4; times += 1) await step.typeUsername(visitor, "somebody-else");
    await step.heading(visitor.page, "Too many tries");
  },
};

for (const [name, open] of Object.entries(PAGES)) {
  test(`page ${name} is accessible and fits`, { timeout: 120_000 }, async () => {
    const visitor = await world.visitor();
    visitor.expected.add(503);
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
