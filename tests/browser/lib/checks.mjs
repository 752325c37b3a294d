// Checks of a page at several widths: accessibility, overflow, target sizes. Each check takes screenshots.

import assert from "node:assert/strict";
import { appendFileSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { HERE, NARROW, WIDE, ZOOMED } from "./world.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
const SCREENSHOTS = join(HERE, "screenshots");
mkdirSync(SCREENSHOTS, { recursive: true });
/** The headings of all checked pages; headings.mjs compares them with the headings that exist. */
export const HEADINGS = join(SCREENSHOTS, "headings.txt");

/** Texts of the demo's company and billers. */
const TENANT_TEXTS = ["Monday to Friday", "by mail with the slip"];

/** In CSS pixels. */
const MAX_SCREENSHOT_HEIGHT = 12_000;

export function screenshotPath(name) {
  return join(SCREENSHOTS, `${name}.png`);
}

/** Takes a screenshot; of very long pages, such as the API's, only the beginning. */
async function takeScreenshot(page, name) {
  const { width } = page.viewportSize();
  const height = await page.evaluate(() => document.documentElement.scrollHeight);
  const clip = { x: 0, y: 0, width, height: Math.min(height, MAX_SCREENSHOT_HEIGHT) };
  await page.screenshot({ path: screenshotPath(name), fullPage: true, clip });
}

/** Checks a page at both widths, zoomed in, with more text spacing, and in the light and dark colour schemes. */
export async function checkPage(page, name) {
  appendFileSync(HEADINGS, `${await page.locator("h1").innerText()}\n`);
  await page.emulateMedia({ colorScheme: "light" });
  for (const size of [WIDE, NARROW]) {
    await page.setViewportSize(size);
    await takeScreenshot(page, `${name}-${size.width}`);
    await expectNoOverflow(page, size);
    assert.deepEqual(await violations(page), [], `at ${size.width} px`);
    await expectTargetSizes(page, size);
  }
  await page.setViewportSize(ZOOMED);
  await expectNoOverflow(page, ZOOMED);
  // Customer pages only: the tables of the console are exempt.
  if ((await page.locator("footer .reference").count()) > 0) {
    await withTextSpacing(page, async () => {
      for (const size of [ZOOMED, WIDE]) {
        await page.setViewportSize(size);
        await expectNoOverflow(page, size);
      }
    });
  }
  await page.emulateMedia({ colorScheme: "dark" });
  for (const size of [WIDE, NARROW]) {
    await page.setViewportSize(size);
    await takeScreenshot(page, `${name}-${size.width}-dark`);
  }
  assert.deepEqual(await violations(page), [], "in the dark colour scheme");
}

/** No horizontal scrolling, no clipped content. */
async function expectNoOverflow(page, size) {
  const [wide, inner, cut] = await page.evaluate(() => {
    const hides = (element) => ["hidden", "clip"].includes(getComputedStyle(element).overflow);
    // Content for screen readers only is clipped on purpose.
    const clips = (element) => hides(element) && !element.matches(".visually-hidden, .table thead, input");
    const cut = [...document.body.querySelectorAll("*")].filter((element) => {
      return clips(element) && (element.scrollWidth > element.clientWidth || element.scrollHeight > element.clientHeight);
    });
    return [document.documentElement.scrollWidth, window.innerWidth, cut.map((element) => element.outerHTML.slice(0, 80))];
  });
  assert.ok(wide <= size.width, `${wide} px wide in ${size.width}`);
  assert.equal(inner, size.width);
  assert.deepEqual(cut, [], `cut off in ${size.width}`);
}

/** Applies the text spacing of WCAG 2.2, 1.4.12. */
async function withTextSpacing(page, body) {
  await page.evaluate(() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important; }
      p { margin-bottom: 2em !important; }`);
    document.adoptedStyleSheets = [sheet];
  });
  await body();
  await page.evaluate(() => {
    document.adoptedStyleSheets = [];
  });
}

/** Switches the page to Spanish: no English sentence is left, and typed values stay. */
export async function switchToSpanish(page) {
  const english = await sentences(page);
  const typed = await page.locator("input[type=text]").evaluateAll((fields) => fields.map((field) => field.value));
  await page.locator(".language").getByText("Español").click();
  await page.locator("html[lang=es]").waitFor();
  const left = (await sentences(page)).filter((sentence) => english.includes(sentence));
  assert.deepEqual(left, [], "sentences that are still in English");
  const after = await page.locator("input[type=text]").evaluateAll((fields) => fields.map((field) => field.value));
  assert.deepEqual(after, typed);
}

/** Texts of more than three words, without texts that a biller wrote. */
async function sentences(page) {
  const texts = await page.locator("h1, h2, main p:not(.address), dt, dd, label, button, a").allInnerTexts();
  const isSentence = (text) => text.split(/\s+/).filter((word) => /\p{L}/u.test(word)).length > 3;
  return texts.filter((text) => isSentence(text) && !TENANT_TEXTS.some((words) => text.includes(words)));
}

/** Violations that axe reports. */
async function violations(page) {
  await page.evaluate(AXE);
  const found = await page.evaluate(
    (values) => globalThis.axe.run(document, { runOnly: { type: "tag", values }, preload: false }),
    AXE_TAGS,
  );
  return found.violations.map((v) => `${v.id}: ${v.nodes.map((node) => node.target.join(" ")).join(", ")}`);
}

/** Minimum target size of buttons, fields and button links (WCAG 2.5.8). */
async function expectTargetSizes(page, size) {
  const small = await page.evaluate(() =>
    [...document.querySelectorAll("button, input:not([type=hidden]), a.button")]
      .map((element) => [element.textContent || element.id, element.getBoundingClientRect()])
      .filter(([, box]) => box.width < 24 || box.height < 24)
      .map(([name]) => name),
  );
  assert.deepEqual(small, [], `too small at ${size.width} px`);
}
