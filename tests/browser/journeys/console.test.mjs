// The staff console, as staff use it: simulations, lookups, billers and keys. Every page is checked.

import assert from "node:assert/strict";
import { checkPage, screenshotPath } from "../lib/checks.mjs";
import { useWorld } from "../lib/world.mjs";
import { REFERENCE, expectHeading, urlWithoutQuery, signIn, typeUsername } from "../lib/steps.mjs";

const world = useWorld();
const CONFIRM =
  "Enabling CIAM will initiate the creation of your organization and all its associated users in SecureAuth. " +
  "Please wait while the setup completes.";
const SUCCESS = "Organization and users successfully created in SecureAuth.";

/** Signs in at the console and comes back to this page of it. */
async function at(visitor, path, role = "operator", page = visitor.page) {
  await page.goto(new URL(path, world.console).href);
  if (await page.getByRole("heading", { level: 1, name: "Sign in to the console" }).isVisible()) {
    await page.getByRole("link", { name: "Sign in" }).click();
    await signIn(page, role, world.staff.find((person) => person.role === role).password);
    await page.waitForURL(new URL(path, world.console).href);
  }
}

/** Waits for the verdict. */
async function goesTo(page, place) {
  await page.getByRole("heading", { level: 2, name: new RegExp(`^Goes to: ${place}`) }).waitFor();
}

world.journey("staff sign in, come back to the page they asked for, and sign out", async (v) => {
  const { page } = v;
  await page.goto(new URL("/decisions", world.console).href);
  await expectHeading(page, "Sign in to the console");
  if (v.js) await checkPage(page, "console-sign-in");
  await at(v, "/decisions", "support");
  await expectHeading(page, "Find a decision");
  await page.getByText("support").first().waitFor();
  const cookies = await v.context.cookies(world.console);
  const session = cookies.find(({ name }) => name === "__Host-staff");
  assert.equal(session.sameSite, "Strict");
  assert.ok(session.httpOnly && session.secure);
  await page.getByRole("button", { name: "Sign out" }).click();
  await expectHeading(page, "You are signed out");
  if (v.js) await checkPage(page, "console-signed-out");
  await page.goto(new URL("/billers", world.console).href);
  await expectHeading(page, "Sign in to the console");
});

world.journey("a link in a ticket, which is another site, opens its question", async (v) => {
  const { page } = v;
  await at(v, "/simulate", "support");
  await page.getByLabel("Username", { exact: true }).fill("one-moved");
  await page.getByRole("button", { name: "Run simulation" }).click();
  await goesTo(page, "Riverside Water");
  const link = await page.getByRole("link", { name: "Link to this simulation" }).getAttribute("href");
  assert.ok(!link.includes("one-moved"));
  // The legacy portal stands on 127.0.0.1, which is another site than localhost.
  await page.goto(world.legacy);
  await page.evaluate((href) => {
    const a = Object.assign(document.createElement("a"), { href, textContent: "ticket" });
    document.body.append(a);
  }, link);
  await page.getByRole("link", { name: "ticket", exact: true }).click();
  await expectHeading(page, "Simulate a sign-in");
  await goesTo(page, "Riverside Water");
}, { scripts: [true] });

world.journey("support simulates, by the keyboard alone", async (v) => {
  const { page } = v;
  await at(v, "/simulate", "support");
  if (v.js) await checkPage(page, "console-simulate");
  await page.getByLabel("Username", { exact: true }).focus();
  await page.keyboard.type("one-moved");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { level: 2, name: /^Goes to: Riverside Water – SecureAuth/ }).waitFor();
  assert.ok(!page.url().includes("one-moved"), "no username in an address");
  const frame = page.frameLocator("iframe");
  await frame.getByRole("heading", { level: 1, name: "Riverside Water has a new sign-in page" }).waitFor();
  const font = await frame.locator("h1").evaluate((h1) => getComputedStyle(h1).fontSize).catch(() => "no script");
  if (v.js) assert.notEqual(font, "32px", "in the customers' stylesheet");
  await page.getByRole("listitem").filter({ hasText: "if riverside-water were suspended" }).waitFor();
  const text = await page.getByLabel("Plain text with masked usernames").inputValue();
  assert.match(text, /username o\*\*\*d at \/login/);
  assert.ok(!text.includes("one-moved"));
  if (v.js) await checkPage(page, "console-simulated");
  await page.getByText("Overrides").click();
  await page.getByLabel("Biller", { exact: true }).first().fill("riverside-water");
  await page.getByLabel("Issuer", { exact: true }).first().selectOption("down");
  await page.getByRole("button", { name: "Run simulation" }).click();
  await page.getByRole("heading", { level: 2, name: "Goes to: Riverside Water – the outage page" }).waitFor();
  await page.getByLabel("Username", { exact: true }).fill("");
  await page.getByRole("button", { name: "Run simulation" }).click();
  await page.getByRole("alert").waitFor();
  if (v.js) await checkPage(page, "console-simulate-error");
});

world.journey("batch simulation", async (v) => {
  const { page } = v;
  await at(v, "/simulate/batch", "auditor");
  await page.getByLabel(/^Sign-ins as CSV/).fill("username,entry\none-moved,\ntwo-moved,\n,/b/oakdale-city\n@x,/nowhere\n");
  await page.getByRole("button", { name: "Run simulation" }).click();
  await page.getByRole("heading", { name: "4 results" }).waitFor();
  if (v.js) await checkPage(page, "console-batch");
});

world.journey("a reference code leads support to the decision", async (v) => {
  const { page } = v;
  const customer = await v.inAnotherBrowser();
  await typeUsername(customer, "two-moved");
  const code = (await customer.page.locator("footer").innerText()).match(REFERENCE)[0];
  await at(v, "/decisions", "support");
  if (v.js) await checkPage(page, "console-decisions");
  await page.getByLabel("Code").fill(code.toLowerCase());
  await page.getByRole("button", { name: "Find decision" }).click();
  await page.getByRole("alert").getByRole("link", { name: /reason/ }).click();
  await page.getByLabel("Reason").fill("ticket 17");
  await page.getByRole("button", { name: "Find decision" }).click();
  await page.getByRole("heading", { level: 2, name: "Goes to: the recovery page" }).waitFor();
  await page.getByText("t***d").first().waitFor();
  assert.ok(!(await page.locator("main").innerText()).includes("two-moved"));
  if (v.js) await checkPage(page, "console-decision");
});

world.journey("an operator enables a biller and watches", async (v) => {
  const { page } = v;
  await at(v, "/billers");
  if (v.js) await checkPage(page, "console-billers");
  const [slug, name] = v.js ? ["pinehill-gas", "Pinehill Gas"] : ["oakdale-city", "Oakdale City"];
  await page.getByRole("link", { name, exact: true }).click();
  await expectHeading(page, name);
  if (v.js) await checkPage(page, "console-biller");
  await page.getByRole("link", { name: "Enable CIAM" }).click();
  await page.getByText(CONFIRM).waitFor();
  if (v.js) await checkPage(page, "console-enable");
  await page.getByRole("button", { name: "Enable CIAM" }).click();
  await expectHeading(page, `CIAM of ${name}`);
  if (v.js) {
    // The page follows the job by itself, until it shows the result.
    await page.getByText(/^[1-9]\d* of 2501 users$/).waitFor();
    await page.screenshot({ path: screenshotPath("console-job-running"), fullPage: true });
  }
  for (let times = 0; times < 400 && !(await page.getByText(SUCCESS).isVisible()); times += 1) {
    if (v.js) await page.waitForTimeout(100);
    else await page.getByRole("link", { name: "Refresh" }).click({ timeout: 2000 }).catch(() => page.reload());
  }
  await page.getByText(SUCCESS).waitFor();
  if (v.js) await checkPage(page, "console-job-done");
  await page.getByRole("link", { name, exact: true }).click();
  await page.getByText("Active (Yes)").waitFor();
  await page.getByRole("link", { name: "Readiness check" }).click();
  await expectHeading(page, `Readiness check: ${name}`);
  if (v.js) await checkPage(page, "console-readiness");
  assert.equal(urlWithoutQuery(page), new URL(`/billers/${slug}/readiness`, world.console).href);
});

world.journey("an operator changes a biller's branding, which has to be readable", async (v) => {
  const { page } = v;
  await at(v, "/billers/riverside-water");
  await page.getByRole("link", { name: "Edit settings" }).click();
  await expectHeading(page, "Settings: Riverside Water");
  if (v.js) await checkPage(page, "console-settings");
  await page.getByLabel("Colour on light pages").fill("#ffcc00");
  await page.getByRole("button", { name: "Save settings" }).click();
  const problem = page.getByRole("alert").getByRole("link", { name: /need 4.5:1.*would do$/ });
  if (v.js) await checkPage(page, "console-settings-error");
  const better = (await problem.innerText()).match(/(#[0-9a-f]{6}) would do$/)[1];
  await problem.click();
  await page.getByLabel("Colour on light pages").fill(better);
  await page.getByRole("button", { name: "Save settings" }).click();
  await page.getByRole("status").getByText("Settings saved").waitFor();
  const customer = await v.inAnotherBrowser();
  await customer.page.goto(new URL("/b/riverside-water/reset", world.gateway).href);
  const link = customer.page.getByRole("button").first();
  const [red, green, blue] = better.match(/[0-9a-f]{2}/g).map((part) => Number.parseInt(part, 16));
  if (v.js) {
    const colour = await link.evaluate((button) => getComputedStyle(button).backgroundColor);
    assert.equal(colour, `rgb(${red}, ${green}, ${blue})`);
  }
});

world.journey("an operator sees drift and syncs the settings", async (v) => {
  const { page } = v;
  const [slug, name] = v.js ? ["brookside-waste", "Brookside Waste"] : ["hilltop-waste", "Hilltop Waste"];
  await at(v, "/new-biller");
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByLabel("Slug").fill(slug);
  await page.getByLabel("CIAM (SSO/MFA) Authentication").check();
  await page.getByRole("button", { name: "Create biller" }).click();
  await page.getByRole("button", { name: "Create biller and enable CIAM" }).click();
  for (let times = 0; times < 400 && !(await page.getByText(SUCCESS).isVisible()); times += 1) {
    if (v.js) await page.waitForTimeout(100);
    else await page.getByRole("link", { name: "Refresh" }).click({ timeout: 2000 }).catch(() => page.reload());
  }
  await page.goto(new URL(`/billers/${slug}/settings`, world.console).href);
  await page.getByLabel("Name", { exact: true }).fill(`${name} and Recycling`);
  await page.getByRole("button", { name: "Save settings" }).click();
  await page.getByRole("link", { name: "SecureAuth settings" }).click();
  await expectHeading(page, `SecureAuth settings: ${name} and Recycling`);
  await page.getByRole("row", { name: /^Name of the pool/ }).getByText("drift").waitFor();
  if (v.js) await checkPage(page, "console-secureauth-drift");
  await page.getByRole("button", { name: "Sync settings" }).click();
  await page.getByText("in sync", { exact: true }).waitFor();
  await page.getByLabel("Characters at least", { exact: true }).fill("12");
  await page.getByRole("button", { name: "Save and sync" }).click();
  await page.getByRole("row", { name: /^Passwords: characters at least.*12.*12/ }).waitFor();
  if (v.js) await checkPage(page, "console-secureauth");
});

world.journey("an operator creates a biller with the box for CIAM ticked", async (v) => {
  const { page } = v;
  await at(v, "/new-biller");
  await page.getByRole("button", { name: "Create biller" }).click();
  await page.getByRole("alert").waitFor();
  if (v.js) await checkPage(page, "console-wizard-error");
  await page.getByLabel("Name", { exact: true }).fill(v.js ? "Lakeside Power" : "Hillside Power");
  await page.getByLabel("Slug").fill(v.js ? "lakeside-power" : "hillside-power");
  await page.getByLabel("CIAM (SSO/MFA) Authentication").check();
  await page.getByRole("button", { name: "Create biller" }).click();
  await page.getByText(CONFIRM).waitFor();
  if (v.js) await checkPage(page, "console-wizard-confirm");
  await page.getByRole("button", { name: "Create biller and enable CIAM" }).click();
  await expectHeading(page, `CIAM of ${v.js ? "Lakeside" : "Hillside"} Power`);
});

world.journey("the kill switch and pending approvals", async (v) => {
  const { page } = v;
  await at(v, "/kill-switch");
  await checkPage(page, "console-kill-switch");
  await page.goto(new URL("/changes", world.console).href);
  await expectHeading(page, "Pending approvals");
  await checkPage(page, "console-changes");
  await page.goto(new URL("/no-such-page", world.console).href);
  await expectHeading(page, "Page not found");
  await checkPage(page, "console-not-found");
}, { scripts: [true] });

world.journey("support reads billers and changes none", async (v) => {
  const { page } = v;
  await at(v, "/billers/riverside-water", "support");
  await expectHeading(page, "Riverside Water");
  assert.equal(await page.getByRole("link", { name: "Suspend biller" }).count(), 0);
  assert.equal(await page.getByRole("button", { name: "Pause biller" }).count(), 0);
  await page.goto(new URL("/billers/riverside-water/ciam", world.console).href);
  await expectHeading(page, "Access denied");
});

world.journey("health, users and the audit trail", async (v) => {
  const { page } = v;
  const customer = await v.inAnotherBrowser();
  await typeUsername(customer, "one-moved");
  await customer.page.getByRole("link", { name: "Continue to Riverside Water sign-in" }).click();
  await signIn(customer.page, "");
  await at(v, "/health", "auditor");
  await page.getByRole("img", { name: /sign-ins in 30 days/ }).first().waitFor();
  await checkPage(page, "console-health");
  await page.getByRole("link", { name: "Users" }).click();
  await page.getByLabel("Username", { exact: true }).fill("shared-name");
  await page.getByLabel("Reason").fill("ticket 17");
  await page.getByRole("button", { name: "Find user" }).click();
  await page.getByText("s***e").first().waitFor();
  await checkPage(page, "console-users");
  await page.getByRole("link", { name: "API keys" }).click();
  await expectHeading(page, "API keys");
  await checkPage(page, "console-keys");
  await page.getByRole("link", { name: "Audit trail" }).click();
  await expectHeading(page, "Audit trail");
  await page.getByText("user.looked_up").last().waitFor();
  await checkPage(page, "console-audit");
}, { scripts: [true] });

world.journey("an operator creates an API key, which is shown once, and revokes it", async (v) => {
  const { page } = v;
  await at(v, "/keys");
  const name = `reports ${v.js}`;
  await page.getByRole("button", { name: "Create API key" }).click();
  await page.getByRole("alert").waitFor();
  if (v.js) await checkPage(page, "console-keys-error");
  await page.getByLabel("Name", { exact: true }).fill(name);
  await page.getByLabel("billers:read").check();
  await page.getByRole("button", { name: "Create API key" }).click();
  const key = await page.locator("#key").innerText();
  assert.match(key, /^sp_[0-9a-f]{12}_/);
  if (v.js) await checkPage(page, "console-key-made");
  await page.goto(new URL("/keys", world.console).href);
  assert.ok(!(await page.locator("body").innerText()).includes(key), "shown once");
  await page.getByRole("button", { name: `Revoke API key ${name}` }).click();
  await page.getByRole("status").getByText("API key revoked.").waitFor();
});
