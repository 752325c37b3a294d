// Finding a biller, and what a device remembers.

import assert from "node:assert/strict";
import { useWorld } from "../lib/world.mjs";
import * as step from "../lib/steps.mjs";

const world = useWorld();
const RIVERSIDE = ["riverside-water", "Riverside Water"];

world.journey("after a failed legacy sign-in a biller is found by a mistyped name, with the username kept", async (visitor) => {
  const { page } = visitor;
  await step.typeUsername(visitor, "moved-and-legacy");
  await step.signIn(page, undefined, "wrong");
  await page.getByRole("link", { name: "I still can't sign in" }).click();
  await step.expectHeading(page, "We couldn’t sign you in");
  await page.getByLabel("Your biller’s name").fill("CITY OF RIVRESIDE WATER DEPT");
  await page.getByRole("button", { name: "Search" }).click();
  await step.expectHeading(page, "Is it one of these billers?");
  assert.equal(await page.getByLabel("Your biller’s name").inputValue(), "CITY OF RIVRESIDE WATER DEPT");
  await page.getByRole("link", { name: "Riverside Water" }).click();
  await step.expectSecureAuthLogin(visitor, ...RIVERSIDE, "moved-and-legacy");
  await page.goBack();
  await step.expectHeading(page, "Is it one of these billers?");
});

world.journey("a search that finds nothing goes on to the next one", async (visitor) => {
  const { page } = visitor;
  await page.goto(world.url("/recover?lang=es"));
  await page.getByRole("button", { name: "Buscar" }).click();
  await page.getByRole("alert").getByRole("link", { name: "Escriba el nombre de su facturador" }).click();
  const field = page.getByLabel("Nombre de su facturador");
  assert.ok(await field.evaluate((element) => element === document.activeElement));
  await field.fill("Teléfonos de Ninguna Parte");
  await page.keyboard.press("Enter");
  await step.expectHeading(page, "No encontramos ningún facturador con ese nombre");
  assert.equal(await field.inputValue(), "Teléfonos de Ninguna Parte");
  await field.fill("mápel");
  await page.keyboard.press("Enter");
  await step.expectHeading(page, "¿Es alguno de estos facturadores?");
  await page.getByRole("link", { name: "Maple Electric" }).click();
  await step.expectSecureAuthLogin(visitor, "maple-electric", "Maple Electric");
});

world.journey("a remembered biller is offered first, asked about when there are two, and forgotten", async (visitor) => {
  const { page } = visitor;
  await remember(page, "one-moved", "Riverside Water");
  await page.goto(world.url("/login"));
  await page.getByRole("link", { name: "Continue to Riverside Water" }).click();
  await step.expectSecureAuthLogin(visitor, ...RIVERSIDE);
  await remember(page, "two-moved", "Maple Electric");
  await page.goto(world.url("/login"));
  await page.getByRole("heading", { name: "Which biller do you want to sign in to?" }).waitFor();
  assert.deepEqual(await page.locator(".biller-links a").allInnerTexts(), ["Maple Electric", "Riverside Water"]);
  await page.getByRole("button", { name: "Forget my billers on this device" }).click();
  await page.getByRole("status").waitFor();
  assert.equal(await page.getByText("Riverside Water").count(), 0);
  await page.reload();
  await page.getByLabel("Username").waitFor();
});

/** Asks to be remembered with this name, wherever that leads, and goes on to the biller. */
async function remember(page, username, biller) {
  await page.goto(world.url("/login"));
  await page.getByLabel("Username").fill(username);
  await page.getByLabel("Remember my biller on this device").check();
  await page.getByRole("button", { name: "Continue" }).click();
  if (username === "two-moved") {
    await step.expectHeading(page, "Which biller do you want to sign in to?");
    assert.ok(await page.getByLabel("Remember my biller on this device").isChecked(), "asked once");
    await page.getByLabel("Your biller’s name").fill(biller);
    await page.getByRole("button", { name: "Search" }).click();
    await page.getByRole("main").getByRole("link", { name: biller }).first().click();
  } else {
    await page.getByRole("link", { name: `Continue to ${biller} sign-in` }).click();
  }
  await step.expectHeading(page, `Sign in to ${biller}`);
}
