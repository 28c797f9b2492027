import assert from "node:assert/strict";
import { test } from "node:test";
import type { EvidenceItem, EvidenceRole } from "../api/types.ts";
import { stillMoments } from "./film.ts";

const still = (role: EvidenceRole, second: number, available = true): EvidenceItem => ({
  role,
  sha256: `${role}${second}`,
  length: 1,
  media_type: "image/jpeg",
  captured: `2026-11-26T08:00:0${second}.000000Z`,
  until: null,
  asked: null,
  note: null,
  available,
  removed: null,
  url: `/${role}/${second}`,
});

test("pictures of one instant are one moment, and the decision is the nearest", () => {
  const items = [
    still("still_annotated", 3),
    still("still_clean", 3),
    still("still_annotated", 1),
    still("clip", 0),
    still("still_annotated", 2, false),
  ];
  const moments = stillMoments(items, "2026-11-26T08:00:03.000000Z");
  assert.deepEqual(
    moments.map((moment) => [moment.after_s, moment.isDecided, moment.annotated, moment.clean]),
    [
      [-2, false, "/still_annotated/1", null],
      [0, true, "/still_annotated/3", "/still_clean/3"],
    ],
  );
  assert.deepEqual(stillMoments([], "2026-11-26T08:00:03.000000Z"), []);
});
