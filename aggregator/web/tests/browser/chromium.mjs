// Starts Debian's Chromium for the browser tests, and watches a page for
// everything that an operator would never see but must not happen: errors on
// the console, requests that fail, breaches of the Content-Security-Policy.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

export const CHROMIUM = process.env.NGATU_CHROMIUM ?? "/usr/bin/chromium";

/** A browser with a profile of its own, gone when `close` is called. */
export async function startBrowser(options = {}) {
  const profile = await mkdtemp(join(tmpdir(), "ngatu-browser-"));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    headless: true,
    args: [
      "--headless",
      "--no-sandbox", // containers and CI run as root
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
    viewport: { width: 1440, height: 900 },
    locale: "vi-VN",
    colorScheme: "dark",
    ...options,
  });
  return {
    context,
    close: async () => {
      await context.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Collects what goes wrong on a page; `expected` are patterns a test provokes on purpose. */
export function watch(page, name, faults, expected = []) {
  const note = (text) => {
    if (!expected.some((pattern) => pattern.test(text))) faults.push(`${name}: ${text}`);
  };
  let isClosing = false;
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") note(`console ${message.type()}: ${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => note(`uncaught: ${error.message}`));
  page.on("requestfailed", (request) => {
    const why = request.failure()?.errorText ?? "";
    // The page gives up its own questions when the filter changes or it closes.
    if (isClosing || why === "net::ERR_ABORTED") return;
    note(`request failed: ${request.method()} ${request.url()} ${why}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 400) note(`${response.status()} ${response.request().method()} ${response.url()}`);
  });
  return () => {
    isClosing = true;
  };
}

/** Reports breaches of the policy even where the console stays silent. */
export async function watchPolicy(context) {
  await context.addInitScript(() => {
    document.addEventListener("securitypolicyviolation", (event) => {
      console.error(`policy breach: ${event.violatedDirective} ${event.blockedURI}`);
    });
  });
}
