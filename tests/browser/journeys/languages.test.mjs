// In Spanish: by what the browser says, or by choice.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { useWorld } from "../lib/world.mjs";
import * as step from "../lib/steps.mjs";

const world = useWorld();
const ROUTES = JSON.parse(readFileSync(new URL("../../../docs/reference/routes.json", import.meta.url), "utf8"));
const PAGES = ROUTES.filter((route) => route.audience === "customer" && "GET" in route.methods && !route.path.includes("{"));
const RIVERSIDE = ["riverside-water", "Riverside Water"];

world.journey(
  "a browser in Spanish gets Spanish pages and a sign-in page that is asked for Spanish",
  async (visitor) => {
    const { page } = visitor;
    await page.goto(world.url("/paybill"));
    await step.expectHeading(page, "Iniciar sesión");
    await page.getByLabel("Nombre de usuario").fill("one-moved");
    await page.getByRole("button", { name: "Continuar" }).click();
    await step.expectHeading(page, "Riverside Water tiene una nueva página de inicio de sesión");
    await page.getByRole("link", { name: "Continuar al inicio de sesión de Riverside Water" }).click();
    await step.expectSecureAuthLogin(visitor, ...RIVERSIDE, "one-moved");
    assert.equal(new URL(page.url()).searchParams.get("ui_locales"), "es");
    await step.signIn(page);
    await step.confirmHandoff(page, "Riverside Water", "one-moved");
    await step.expectPortal(visitor, "Riverside Water", "one-moved");
    assert.equal(page.url(), `${world.portal}/bills/pay`);
  },
  { locale: "es-MX" },
);

world.journey("the language is changed on the way, twice, and nothing is typed again", async (visitor) => {
  const { page } = visitor;
  await page.goto(world.url("/login?return_to=pay"));
  await page.getByRole("link", { name: "Español" }).click();
  await step.expectHeading(page, "Iniciar sesión");
  await page.getByLabel("Nombre de usuario").fill("one-moved");
  await page.getByRole("button", { name: "Continuar" }).click();
  await step.expectHeading(page, "Riverside Water tiene una nueva página de inicio de sesión");
  await page.getByRole("button", { name: "English" }).click();
  await step.expectHeading(page, "Riverside Water has a new sign-in page");
  await page.goBack();
  await step.expectHeading(page, "Riverside Water tiene una nueva página de inicio de sesión");
  await page.goForward();
  await page.getByRole("link", { name: "Continue to Riverside Water sign-in" }).click();
  await step.expectSecureAuthLogin(visitor, ...RIVERSIDE, "one-moved");
  assert.equal(new URL(page.url()).searchParams.get("ui_locales"), "en");
});

world.journey("a choice of language holds until the next, on every page", async (visitor) => {
  const { page } = visitor;
  await page.goto(world.url("/help?lang=es"));
  for (const path of [...PAGES.map((route) => route.path), "/nope", "/b/no-such-biller", "/help"]) {
    await page.goto(world.url(path));
    assert.equal(await page.locator("html").getAttribute("lang"), "es", path);
    await step.expectHelp(page);
  }
  await page.getByRole("link", { name: "English" }).click();
  await step.expectHeading(page, "Get help signing in");
  await page.goto(world.url("/login"));
  await step.expectHeading(page, "Sign in");
});
