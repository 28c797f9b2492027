// Pictures for the mock server: a road, painted and written as PNG without any
// library, so that the screen can be developed and tested with stills that
// really load, at the size real ones have.

import { deflateSync } from "node:zlib";

const WIDTH = 960;
const HEIGHT = 540;
/** The words below an annotated still. */
const LEGEND = 120;

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let k = 0; k < 8; k += 1) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
  return c >>> 0;
});

function crc32(bytes) {
  let c = 0xffffffff;
  for (const byte of bytes) c = CRC_TABLE[(c ^ byte) & 0xff] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

function chunk(type, body) {
  const head = Buffer.alloc(8);
  head.writeUInt32BE(body.length);
  head.write(type, 4, "latin1");
  const tail = Buffer.alloc(4);
  tail.writeUInt32BE(crc32(Buffer.concat([head.subarray(4), body])));
  return Buffer.concat([head, body, tail]);
}

/** An RGB picture as PNG (RFC 2083). */
function png(pixels) {
  const height = pixels.length / (WIDTH * 3);
  const rows = Buffer.alloc(height * (WIDTH * 3 + 1));
  for (let y = 0; y < height; y += 1) pixels.copy(rows, y * (WIDTH * 3 + 1) + 1, y * WIDTH * 3, (y + 1) * WIDTH * 3);
  const header = Buffer.alloc(13);
  header.writeUInt32BE(WIDTH, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2, 0, 0, 0], 8);
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk("IHDR", header),
    chunk("IDAT", deflateSync(rows, { level: 6 })),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

/** A road seen from a pole, with vehicles by chance; the first one is the event's. */
export function paintStill({ random, isAnnotated, isNight, bounds }) {
  const pixels = Buffer.alloc(WIDTH * HEIGHT * 3);
  const put = (x, y, [r, g, b]) => {
    if (x < 0 || y < 0 || x >= WIDTH || y >= HEIGHT) return;
    const at = (Math.floor(y) * WIDTH + Math.floor(x)) * 3;
    pixels[at] = r;
    pixels[at + 1] = g;
    pixels[at + 2] = b;
  };
  const box = (left, top, width, height, colour) => {
    for (let y = Math.max(0, top); y < Math.min(HEIGHT, top + height); y += 1)
      for (let x = Math.max(0, left); x < Math.min(WIDTH, left + width); x += 1) put(x, y, colour);
  };
  const dim = isNight ? 0.4 : 1;
  const tone = (r, g, b) => [r * dim, g * dim, b * dim];
  const horizon = HEIGHT * 0.3;

  for (let y = 0; y < HEIGHT; y += 1) {
    const down = Math.max(0, (y - horizon) / (HEIGHT - horizon));
    const [from, to] = [WIDTH * (0.42 - 0.42 * down), WIDTH * (0.58 + 0.5 * down)];
    for (let x = 0; x < WIDTH; x += 1) {
      const grain = random() * 10;
      if (y < horizon) put(x, y, tone(150 + y * 0.3 + grain, 168 + y * 0.25 + grain, 186 + grain));
      else if (x > from && x < to) put(x, y, tone(82 + down * 22 + grain, 84 + down * 22 + grain, 88 + down * 20 + grain));
      else put(x, y, tone(104 + grain, 118 + grain, 92 + grain));
    }
    if (y > horizon) {
      const dash = Math.floor(Math.sqrt(down) * 22) % 2 === 0;
      for (const lane of [0.33, 0.66]) {
        if (dash) box(Math.round(from + (to - from) * lane), y, Math.max(1, Math.round(6 * down)), 1, tone(225, 225, 215));
      }
    }
  }
  for (let house = 0; house < 9; house += 1) {
    const [left, height] = [house * 110 - 20, 50 + random() * 80];
    const shade = 95 + random() * 70;
    box(left, Math.round(horizon - height), 96, Math.round(height), tone(shade, shade * 0.93, shade * 0.85));
  }
  const stop = Math.round(HEIGHT * 0.8);
  box(Math.round(WIDTH * 0.12), stop, Math.round(WIDTH * 0.8), 9, tone(235, 235, 230));

  const vehicle = (left, top, width, height, colour) => {
    box(left, top + height - 4, width, 7, tone(40, 40, 42));
    box(left, top, width, height, colour);
    box(left + width * 0.12, top + height * 0.12, width * 0.76, height * 0.3, tone(38, 46, 58));
    box(left + width * 0.06, top + height * 0.72, width * 0.16, height * 0.12, [250, 214, 120]);
    box(left + width * 0.78, top + height * 0.72, width * 0.16, height * 0.12, [250, 214, 120]);
  };
  for (let other = 0; other < 6; other += 1) {
    const down = 0.1 + random() * 0.5;
    const width = Math.round(28 + 120 * down);
    vehicle(Math.round(WIDTH * (0.36 + random() * 0.3) - width * random()), Math.round(horizon + (HEIGHT - horizon) * down * 0.7), width, Math.round(width * 0.7), tone(90 + random() * 140, 90 + random() * 140, 90 + random() * 140));
  }
  const [x, y, width, height] = [bounds[0] * WIDTH, bounds[1] * HEIGHT, bounds[2] * WIDTH, bounds[3] * HEIGHT].map(Math.round);
  vehicle(x, y, width, height, tone(196, 52, 44));

  if (isAnnotated) {
    const frame = (colour, thick) => {
      box(x - thick, y - thick, width + 2 * thick, thick, colour);
      box(x - thick, y + height, width + 2 * thick, thick, colour);
      box(x - thick, y, thick, height, colour);
      box(x + width, y, thick, height, colour);
    };
    frame([255, 70, 70], 4);
    box(Math.round(WIDTH * 0.12), stop - 2, Math.round(WIDTH * 0.8), 3, [255, 210, 60]);
    for (let step = 0; step < 26; step += 1) {
      box(x + width / 2 - step * 5, y + height - step * 7, 6, 6, [90, 220, 255]);
    }
    return png(Buffer.concat([pixels, legend()]));
  }
  return png(pixels);
}

/** Lines of words, as far as a glance can tell. */
function legend() {
  const pixels = Buffer.alloc(WIDTH * LEGEND * 3, 16);
  for (let line = 0; line < 5; line += 1) {
    for (let y = 14 + line * 20; y < 21 + line * 20; y += 1) pixels.fill(200, (y * WIDTH + 12) * 3, (y * WIDTH + 460 - line * 55) * 3);
  }
  return pixels;
}
