// Steps and expectations that the journeys share.

import assert from "node:assert/strict";

export const PASSWORD = "demo-password";
/** Crockford's base 32, without lookalikes. */
export const REFERENCE = /\b[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}\b/;

/** Waits for a page by its heading. */
export async function expectHeading(page, text) {
  await page.getByRole("heading", { level: 1, name: text, exact: true }).waitFor();
}

export function urlWithoutQuery(page) {
  const url = new URL(page.url());
  return url.origin + url.pathname;
}

export async function typeUsername(visitor, username, page = visitor.page) {
  await page.goto(visitor.world.url("/login"));
  await page.getByLabel("Username").fill(username);
  await page.getByRole("button", { name: "Continue" }).click();
}

/** The biller's sign-in page with a prefilled username. */
export async function expectSecureAuthLogin(visitor, slug, name, username = "", page = visitor.page) {
  await expectHeading(page, `Sign in to ${name}`);
  assert.equal(urlWithoutQuery(page), `${visitor.world.secureauth}/demo/${slug}/oauth2/authorize`);
  assert.equal(await page.getByLabel("Username").inputValue(), username);
}

export async function signIn(page, username, password = PASSWORD) {
  if (username) await page.getByLabel("Username").fill(username);
  await page.getByLabel("Password").fill(password);
  await page.getByRole("button", { name: "Sign in", exact: true }).click();
}

/** The legacy portal's sign-in page with a prefilled username. */
export async function expectLegacyLogin(visitor, username = "", page = visitor.page) {
  await expectHeading(page, "Sign in");
  await page.getByText("classic sign-in").waitFor();
  assert.equal(urlWithoutQuery(page), `${visitor.world.legacy}/login`);
  assert.equal(await page.getByLabel("Username").inputValue(), username);
}

/** The portal asks for confirmation because this browser did not start the sign-in there. */
export async function confirmHandoff(page, name, username) {
  await expectHeading(page, `You are about to enter ${name} as ${username}`);
  await page.getByRole("button", { name: "Continue" }).click();
}

/** The biller's portal after sign-in. */
export async function expectPortal(visitor, name, username, page = visitor.page) {
  await expectHeading(page, `Welcome to ${name}`);
  assert.ok(page.url().startsWith(visitor.world.portal), page.url());
  assert.equal(await page.locator("#username").textContent(), username);
}

/** A complete sign-in from the biller's vanity path to its portal. */
export async function signInAt(visitor, slug, name, username, page = visitor.page) {
  await page.goto(visitor.world.url(`/b/${slug}`));
  await expectSecureAuthLogin(visitor, slug, name, "", page);
  await signIn(page, username);
  await confirmHandoff(page, name, username);
  await expectPortal(visitor, name, username, page);
}

/** A page with a reference code and at least one next step. */
export async function expectHelp(page) {
  assert.match(await page.locator("footer code").innerText(), REFERENCE);
  assert.ok((await page.locator("main a[href]").count()) > 0, "no next step");
  assert.equal(await page.locator("input[type=password]").count(), 0);
}
