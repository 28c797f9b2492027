import assert from "node:assert/strict";
import { test } from "node:test";
import { DICTIONARIES, kindName, languageFrom, translated } from "./language.ts";

test("the address goes before what was remembered, and Vietnamese before English", () => {
  for (const [asked, remembered, expected] of [
    [null, null, "vi"],
    ["en", null, "en"],
    [null, "en", "en"],
    ["vi", "en", "vi"],
    ["fr", "en", "en"],
    ["fr", "tlh", "vi"],
  ] as const) {
    assert.equal(languageFrom(asked, remembered), expected);
  }
});

/** Every text of a dictionary with its path; functions are called with plausible values. */
function texts(value: unknown, path = ""): [string, string][] {
  if (typeof value === "string") return [[path, value]];
  if (typeof value === "function") return [[path, String((value as (...args: unknown[]) => unknown)(2, "x"))]];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]) => texts(inner, `${path}.${key}`));
}

test("no text is empty, and none was left in the other language", () => {
  // Words that are the same in both: names, loan words, codes.
  const same = new Set([".product", ".camera", ".filterCamera", ".cameras"]);
  const [vi, en] = [new Map(texts(DICTIONARIES.vi)), new Map(texts(DICTIONARIES.en))];
  assert.deepEqual([...vi.keys()].sort(), [...en.keys()].sort());
  for (const [path, text] of vi) {
    assert.notEqual(text.trim(), "", path);
    if (!same.has(path)) assert.notEqual(text, en.get(path), `${path} says the same in both languages`);
  }
});

test("Vietnamese is written composed (NFC), as fonts and searches expect", () => {
  for (const [path, text] of texts(DICTIONARIES.vi)) assert.equal(text, text.normalize("NFC"), path);
});

test("a kind the screen does not know is called by its event's own title", () => {
  const { vi } = DICTIONARIES;
  const example = { title: { vi: "Miệng cống bị che", en: "Drain covered" } };
  assert.equal(kindName("red_light", example, vi, "vi"), "Vượt đèn đỏ");
  assert.equal(kindName("blocked_drain", example, vi, "vi"), "Miệng cống bị che");
  assert.equal(kindName("blocked_drain", undefined, vi, "vi"), "Blocked drain");
  assert.equal(translated(vi.facts, "toString"), "ToString", "no word is found on the prototype");
});
