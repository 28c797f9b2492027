import assert from "node:assert/strict";
import { test } from "node:test";
import { CLOSEST, FITTED, panned, pictureShare, zoomedAt, type ZoomView } from "./zoom.ts";

/** Where a point of the picture (from its middle) stands in the frame. */
const stands = (view: ZoomView, x: number, y: number) => [view.x + x * view.scale, view.y + y * view.scale];

test("what is under the pointer stays under it", () => {
  let view = FITTED;
  const [px, py] = [0.2, -0.1];
  for (const factor of [1.3, 1.3, 2, 0.9]) {
    const before = [(px - view.x) / view.scale, (py - view.y) / view.scale] as const;
    view = zoomedAt(view, factor, px, py);
    const [x, y] = stands(view, ...before);
    assert.ok(Math.abs((x ?? 9) - px) < 1e-9 && Math.abs((y ?? 9) - py) < 1e-9);
  }
});

test("the frame never shows anything beside the picture, however it is pulled", () => {
  let seed = 7;
  const chance = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  let view = FITTED;
  for (let step = 0; step < 2_000; step += 1) {
    view =
      chance() < 0.5
        ? zoomedAt(view, 0.4 + chance() * 2.2, chance() - 0.5, chance() - 0.5)
        : panned(view, chance() * 4 - 2, chance() * 4 - 2);
    assert.ok(view.scale >= 1 && view.scale <= CLOSEST);
    assert.ok(view.x - view.scale / 2 <= -0.5 + 1e-9 && view.x + view.scale / 2 >= 0.5 - 1e-9);
    assert.ok(view.y - view.scale / 2 <= -0.5 + 1e-9 && view.y + view.scale / 2 >= 0.5 - 1e-9);
  }
});

test("zooming all the way out fits the picture exactly", () => {
  const far = zoomedAt(panned(zoomedAt(FITTED, 4, 0.3, 0.3), 0.4, 0.4), 0.01, -0.4, 0.2);
  assert.deepEqual(far, FITTED);
});

test("words below a picture take their share, and nobody guesses it", () => {
  assert.equal(pictureShare(960 / 720, 960 / 540), 0.75);
  assert.equal(pictureShare(16 / 9, 16 / 9), 1);
  assert.equal(pictureShare(2, 16 / 9), 1);
  assert.equal(pictureShare(null, 16 / 9), null);
  assert.equal(pictureShare(16 / 9, null), null);
});
