// The main job, in a real browser: an alert with its picture appears, the
// operator opens it, reads why, acknowledges and resolves it, and a second tab
// sees all that without a reload.
//
//   NGATU_URL=http://127.0.0.1:PORT node tests/browser/operator.mjs
//
// Environment: NGATU_URL (the centre), NGATU_SCREENSHOTS (a folder for
// pictures; none are kept without it), NGATU_EXPECT_CLIP (whether the alert must
// have a clip that plays), NGATU_WAIT_S (how long to wait for an
// alert with a picture, 120), NGATU_CHROMIUM (the browser).
// Ends with 0 and says so, or with 1 and says what did not happen.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { startBrowser, watch, watchPolicy } from "./chromium.mjs";

const STEP_MS = 20_000;

/** Waits for something on the page; the fault names what it was. */
async function until(page, what, probe, argument, timeout = STEP_MS) {
  try {
    return await (await page.waitForFunction(probe, argument, { timeout, polling: 100 })).jsonValue();
  } catch (error) {
    if (error.name !== "TimeoutError") throw error;
    const shown = await page.evaluate(() => document.body.innerText.slice(0, 600)).catch(() => "");
    throw new Error(`${what}: not seen within ${timeout / 1000} s on ${page.url()}\n--- the page says:\n${shown}`);
  }
}

export function check(truth, what) {
  if (!truth) throw new Error(what);
}

/** The whole errand; throws with a clear message at the first thing that does not happen. */
export async function operate(url, { screenshots = null, waitMs = 120_000, expectClip = false, log = console.log } = {}) {
  const faults = [];
  const browser = await startBrowser();
  const closing = [];
  if (screenshots !== null) await mkdir(screenshots, { recursive: true });
  const shoot = async (page, name) => {
    if (screenshots === null) return;
    await page.evaluate(() => document.fonts.ready);
    await page.screenshot({ path: join(screenshots, `${name}.png`), animations: "disabled" });
  };
  try {
    await watchPolicy(browser.context);
    const desk = browser.context.pages()[0] ?? (await browser.context.newPage());
    closing.push(watch(desk, "first tab", faults));
    await desk.goto(`${url}/?state=new&lang=vi`);
    await until(desk, "the live connection", () => document.querySelector("[data-connection=live]") !== null, null, waitMs);

    const id = await until(
      desk,
      "a new alert with its picture in the list",
      () => {
        const shown = (image) => image.complete && image.naturalWidth > 0 && image.getBoundingClientRect().top < window.innerHeight;
        const rows = [...document.querySelectorAll("li[data-alert]")];
        const row = rows.find((each) => each.querySelector("[data-state=new]") && [...each.querySelectorAll("img")].some(shown));
        return row?.getAttribute("data-alert") ?? null;
      },
      null,
      waitMs,
    );
    log(`an alert with its picture is in the list: ${id}`);
    await shoot(desk, "1-list");

    const other = await browser.context.newPage();
    closing.push(watch(other, "second tab", faults));
    await other.goto(`${url}/?alert=${id}`);
    await until(other, "the alert in the second tab", (wanted) => document.querySelector(`[data-alert-open="${wanted}"][data-state=new]`) !== null, id);
    await until(other, "the second tab's live connection", () => document.querySelector("[data-connection=live]") !== null);
    await other.evaluate(() => {
      window.sameDocument = true;
    });

    await desk.bringToFront();
    await desk.click(`li[data-alert="${id}"] a`);
    await until(desk, "the explanation", () => document.querySelectorAll(".explanation tbody tr").length > 0);
    await until(desk, "the large picture", () => {
      const image = document.querySelector(".zoom img");
      return image !== null && image.complete && image.naturalWidth > 0;
    });
    const predicates = await desk.locator(".explanation tbody tr").count();
    const cells = await desk.locator(".explanation tbody tr:first-child td").allInnerTexts();
    check(cells.length === 4 && cells.every((cell) => cell.trim() !== ""), `the first predicate has an empty cell: ${JSON.stringify(cells)}`);
    log(`its explanation has ${predicates} predicates`);
    await shoot(desk, "2-open");

    const modes = await desk.locator(".still-modes button:enabled").count();
    if (modes === 2) {
      const before = await desk.getAttribute(".still", "data-mode");
      await desk.keyboard.press("c");
      await until(desk, "the other picture", (old) => {
        const image = document.querySelector(".zoom img");
        return document.querySelector(".still")?.getAttribute("data-mode") !== old && image?.complete && image.naturalWidth > 0;
      }, before);
      await desk.keyboard.press("c");
    }

    if (expectClip) {
      await until(
        desk,
        "the clip, playable",
        () => {
          const clip = document.querySelector("video.clip");
          return clip !== null && clip.readyState >= 1 && clip.videoWidth > 0 && clip.duration > 6;
        },
        null,
        waitMs,
      );
      await desk.evaluate(() => document.querySelector("video.clip")?.play());
      await until(desk, "the clip playing", () => (document.querySelector("video.clip")?.currentTime ?? 0) > 0.5);
      await desk.evaluate(() => document.querySelector("video.clip")?.pause());
      await until(desk, "stills of several moments", () => document.querySelectorAll(".moments button").length >= 2, null, waitMs);
      const shown = await desk.getAttribute(".zoom img", "src");
      await desk.locator(".moments button").first().click();
      await until(desk, "the earlier still", (old) => {
        const image = document.querySelector(".zoom img");
        return image?.getAttribute("src") !== old && image?.complete && image.naturalWidth > 0;
      }, shown);
      log("its clip plays, and it has stills of several moments");
      await shoot(desk, "2-clip");
    }

    // Without a name nothing is sent, and the screen says why.
    await desk.fill("input[name=actor]", "");
    await desk.click("[data-action=acknowledge]");
    await until(desk, "the reminder to give a name", () => (document.querySelector(".fault")?.textContent ?? "") !== "");
    const operator = "Nguyễn Thị Kiểm Tra";
    await desk.fill("input[name=actor]", operator);
    await desk.click("[data-action=acknowledge]");
    const state = (wanted) => document.querySelector(`[data-alert-open="${wanted.id}"]`)?.getAttribute("data-state") === wanted.state;
    await until(desk, "the alert acknowledged", state, { id, state: "acknowledged" });
    await until(other, "the second tab told of the acknowledgement", state, { id, state: "acknowledged" });
    log("acknowledged, and the second tab knows");
    await shoot(desk, "3-acknowledged");

    await desk.locator("h2").first().click(); // away from the form: keys are shortcuts again
    await desk.keyboard.press("r");
    check((await desk.evaluate(() => document.activeElement?.getAttribute("name"))) === "reason", "the key r does not lead to the reason");
    await desk.click("[data-action=resolve]");
    await until(desk, "the reminder to give a reason", () => (document.querySelector(".fault")?.textContent ?? "") !== "");
    await desk.selectOption("select[name=reason]", "confirmed");
    await desk.fill("textarea[name=note]", "Đã xem ảnh, đúng sự việc.");
    await desk.click("[data-action=resolve]");
    await until(desk, "the alert resolved", state, { id, state: "resolved" });
    await until(other, "the second tab told of the resolution", state, { id, state: "resolved" });
    await until(desk, "the history with the operator's name", (name) => {
      const people = [...document.querySelectorAll(".history .by-person")];
      return people.length >= 2 && people.every((entry) => entry.textContent.includes(name));
    }, operator);
    check(await other.evaluate(() => window.sameDocument === true), "the second tab was reloaded");
    log("resolved with a reason, and the second tab knows");
    await desk.evaluate(() => document.querySelector(".open-pane")?.scrollTo(0, 0));
    await shoot(desk, "4-resolved");

    const inVietnamese = await desk.innerText(".part-explanation h3");
    await desk.click("[data-language=en]");
    await until(desk, "the screen in English", () => document.documentElement.lang === "en");
    const inEnglish = await desk.innerText(".part-explanation h3");
    check(inVietnamese !== inEnglish, `the language changed but the words did not: ${inEnglish}`);
    await shoot(desk, "5-english");
    await desk.goto(`${url}/`);
    await until(desk, "the language remembered", () => document.documentElement.lang === "en" && document.querySelector("[data-alert]") !== null);
    await desk.goto(`${url}/?lang=vi`);
    await until(desk, "the language of the address", () => document.documentElement.lang === "vi");
    log("the language switches, and is remembered");

    await desk.click("nav a:nth-child(2)");
    await until(desk, "the cameras", () => document.querySelectorAll("[data-camera] .watch").length > 0 && document.querySelectorAll("[data-box]").length > 0);
    log(`cameras: ${(await desk.locator("[data-camera] h4").allInnerTexts()).join(", ")}`);
    await shoot(desk, "6-cameras");

    await desk.setViewportSize({ width: 390, height: 844 });
    await desk.goto(`${url}/`);
    await until(desk, "the list on a narrow screen", () => document.querySelector("li[data-alert]") !== null);
    const overflow = () => document.documentElement.scrollWidth - document.documentElement.clientWidth;
    check((await desk.evaluate(overflow)) <= 0, "the list is wider than a narrow screen");
    await desk.waitForTimeout(300); // let the pictures paint for the screenshot; nothing depends on it
    await shoot(desk, "7-narrow-list");
    await desk.goto(`${url}/?alert=${id}`);
    await until(desk, "the alert on a narrow screen", () => document.querySelector(".explanation") !== null);
    check((await desk.evaluate(overflow)) <= 0, "the alert is wider than a narrow screen");
    await shoot(desk, "8-narrow-open");
    await desk.emulateMedia({ colorScheme: "light" });
    await desk.setViewportSize({ width: 1440, height: 900 });
    await until(desk, "the alert in the light theme", () => document.querySelector(".zoom img")?.naturalWidth > 0);
    await shoot(desk, "9-light");

    check(faults.length === 0, `the browser complained:\n  ${faults.join("\n  ")}`);
  } finally {
    for (const close of closing) close();
    await browser.close();
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const url = process.env.NGATU_URL?.replace(/\/+$/, "");
  if (url === undefined || url === "") {
    console.error("browser test: set NGATU_URL to the centre's address, for example http://127.0.0.1:8080");
    process.exit(1);
  }
  try {
    await operate(url, {
      screenshots: process.env.NGATU_SCREENSHOTS || null,
      waitMs: Number(process.env.NGATU_WAIT_S ?? 120) * 1000,
      expectClip: Boolean(process.env.NGATU_EXPECT_CLIP),
    });
    console.log("browser test: passed");
  } catch (error) {
    console.error(`browser test: FAILED: ${error.message}`);
    process.exit(1);
  }
}
