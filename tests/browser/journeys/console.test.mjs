// The staff console, as staff use it: asking, looking up, moving a biller, making one. Every page is looked at.

import assert from "node:assert/strict";
import { look } from "../lib/look.mjs";
import { useWorld } from "../lib/world.mjs";
import { REFERENCE, heading, signIn, typeUsername } from "../lib/steps.mjs";

const world = useWorld();
/** Signs in at the console and comes back to this page of it. */
async function at(visitor, path, role = "support", page = visitor.page) {
  await page.goto(new URL(path, world.console).href);
  if (await page.getByRole("heading", { level: 1, name: "Sign in to the console" }).isVisible()) {
    await page.getByRole("link", { name: "Sign in" }).click();
    await signIn(page, role, world.staff.find((person) => person.role === role).password);
    await page.waitForURL(new URL(path, world.console).href);
  }
}

world.journey("staff sign in, come back to the page they asked for, and sign out", async (v) => {
  const { page } = v;
  await page.goto(new URL("/decisions", world.console).href);
  await heading(page, "Sign in to the console");
  if (v.js) await look(page, "console-sign-in");
  await at(v, "/decisions", "support");
  await heading(page, "What happened to a customer?");
  await page.getByText("support").first().waitFor();
  const cookies = await v.context.cookies(world.console);
  const session = cookies.find(({ name }) => name === "__Host-staff");
  assert.equal(session.sameSite, "Strict");
  assert.ok(session.httpOnly && session.secure);
  await page.getByRole("button", { name: "Sign out" }).click();
  await heading(page, "You are signed out");
  if (v.js) await look(page, "console-signed-out");
  await page.goto(new URL("/simulate", world.console).href);
  await heading(page, "Sign in to the console");
});

world.journey("a link in a ticket, which is another site, opens its question", async (v) => {
  const { page } = v;
  await at(v, "/simulate", "support");
  await page.getByLabel("Username").fill("one-moved");
  await page.getByRole("button", { name: "Simulate", exact: true }).click();
  await page.getByText("Goes to: Riverside Water").waitFor();
  const link = await page.getByRole("link", { name: "Link to the same question" }).getAttribute("href");
  assert.ok(!link.includes("one-moved"));
  // The legacy portal stands on 127.0.0.1, which is another site than localhost.
  await page.goto(world.legacy);
  await page.evaluate((href) => {
    const a = Object.assign(document.createElement("a"), { href, textContent: "ticket" });
    document.body.append(a);
  }, link);
  await page.getByRole("link", { name: "ticket", exact: true }).click();
  await heading(page, "Where would somebody be taken?");
  await page.getByText("Goes to: Riverside Water").waitFor();
}, { scripts: [true] });

world.journey("support simulates, by the keyboard alone", async (v) => {
  const { page } = v;
  await at(v, "/simulate", "support");
  if (v.js) await look(page, "console-simulate");
  await page.getByLabel("Username").focus();
  await page.keyboard.type("one-moved");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 2, name: /^Goes to: Riverside Water – SecureAuth/ }).waitFor();
  assert.ok(!page.url().includes("one-moved"), "no username in an address");
  const frame = page.frameLocator("iframe");
  await frame.getByRole("heading", { level: 1, name: "Riverside Water has a new sign-in page" }).waitFor();
  const font = await frame.locator("h1").evaluate((h1) => getComputedStyle(h1).fontSize).catch(() => "no script");
  if (v.js) assert.notEqual(font, "32px", "in the customers' stylesheet");
  await page.getByText("if riverside-water were suspended").waitFor();
  const text = await page.getByLabel("As text, names masked").inputValue();
  assert.match(text, /username o\*\*\*d at \/login/);
  assert.ok(!text.includes("one-moved"));
  if (v.js) await look(page, "console-simulated");
  await page.getByText("What if …").click();
  await page.getByLabel("Biller", { exact: true }).first().fill("riverside-water");
  await page.getByLabel("Issuer", { exact: true }).first().selectOption("down");
  await page.getByRole("button", { name: "Simulate", exact: true }).click();
  await page.getByRole("heading", { level: 2, name: "Goes to: Riverside Water – the outage page" }).waitFor();
  await page.getByLabel("Username").fill("");
  await page.getByRole("button", { name: "Simulate", exact: true }).click();
  await page.getByRole("alert").waitFor();
  if (v.js) await look(page, "console-simulate-error");
});

world.journey("many questions at once", async (v) => {
  const { page } = v;
  await at(v, "/simulate/batch", "auditor");
  await page.getByLabel(/^Questions as CSV/).fill("username,entry\none-moved,\ntwo-moved,\n,/b/oakdale-city\n@x,/nowhere\n");
  await page.getByRole("button", { name: "Simulate", exact: true }).click();
  await page.getByRole("heading", { name: "4 answers" }).waitFor();
  if (v.js) await look(page, "console-batch");
});

world.journey("a reference code leads support to the decision", async (v) => {
  const { page } = v;
  const customer = await v.elsewhere();
  await typeUsername(customer, "two-moved");
  const code = (await customer.page.locator("footer").innerText()).match(REFERENCE)[0];
  await at(v, "/decisions", "support");
  if (v.js) await look(page, "console-decisions");
  await page.getByLabel("Code").fill(code.toLowerCase());
  await page.getByRole("button", { name: "Look up" }).click();
  await page.getByRole("alert").getByRole("link", { name: /reason/ }).click();
  await page.getByLabel("Reason").fill("ticket 17");
  await page.getByRole("button", { name: "Look up" }).click();
  await page.getByRole("heading", { level: 2, name: "Goes to: the recovery page" }).waitFor();
  await page.getByText("t***d").first().waitFor();
  assert.ok(!(await page.locator("main").innerText()).includes("two-moved"));
  if (v.js) await look(page, "console-decision");
});
