import assert from "node:assert/strict";
import { test } from "node:test";
import { boxStatus, cameraStatus } from "../api/decode.ts";
import { EMPTY_FLEET, fleetAfter, type Fleet, type FleetAction, type FleetNews } from "./fleet.ts";

const camera = (name: string, change: number, at = "2026-11-22T01:00:00Z") => {
  const status = cameraStatus({ site: "s", box: "b", camera: name, change, at, health: "watching" });
  assert.ok(status);
  return status;
};
const box = (online: boolean, change: number) => {
  const status = boxStatus({ site: "s", box: "b", online, change });
  assert.ok(status);
  return status;
};
const only = (news: Partial<FleetNews>): FleetNews => ({ cameras: [], boxes: [], ...news });
const run = (...actions: FleetAction[]): Fleet => actions.reduce(fleetAfter, EMPTY_FLEET);

test("a list does not undo news that came while it was on its way", () => {
  const fleet = run(
    { type: "reload" },
    { type: "news", news: only({ boxes: [box(false, 9)] }) },
    { type: "loaded", list: only({ cameras: [camera("c", 3)], boxes: [box(true, 4)] }) },
  );
  assert.equal(fleet.boxes.get("s/b")?.online, false);
  assert.equal(fleet.phase, "ready");
});

test("a camera whose clock stepped back is still heard", () => {
  const fleet = run(
    { type: "loaded", list: only({ cameras: [camera("c", 3, "2026-11-22T09:00:00Z")] }) },
    { type: "news", news: only({ cameras: [camera("c", 4, "2026-11-22T02:00:00Z")] }) },
  );
  assert.equal(fleet.cameras.get("s/b/c")?.change, 4);
});

test("what the centre has forgotten disappears with the next list", () => {
  const fleet = run(
    { type: "loaded", list: only({ cameras: [camera("gone", 800), camera("c", 801)] }) },
    { type: "reload" },
    { type: "loaded", list: only({ cameras: [camera("c", 2)] }) },
  );
  assert.deepEqual([...fleet.cameras.keys()], ["s/b/c"]);
  assert.equal(fleet.cameras.get("s/b/c")?.change, 2);
});

test("a failed list leaves what is known on the screen, and says so", () => {
  const fleet = run(
    { type: "loaded", list: only({ cameras: [camera("c", 3)] }) },
    { type: "reload" },
    { type: "failed", problem: { cause: "unreachable" } },
  );
  assert.equal(fleet.cameras.size, 1);
  assert.equal(fleet.phase, "failed");
});
