// A stand-in for the aggregator, for working on the screen and testing it
// without a backend. It speaks the REST contract with made-up alerts and
// painted stills, under the strictest Content-Security-Policy the screen must
// live with. It is part of the tests only and is never shipped.
//
//   node tests/mock-server.mjs [PORT]       then open the address it prints
//
// Environment: MOCK_ALERTS (how many to begin with), MOCK_EVERY_MS (a new one
// this often; 0 for never), MOCK_SEED.

import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { dirname, extname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";
import { paintStill } from "./mock-stills.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

const CSP = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const MEDIA_TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".woff2": "font/woff2",
  ".txt": "text/plain; charset=utf-8",
};

/** Mulberry32: the same seed paints the same city. */
/** Of vehicles: stated, and one of whose plate a character may be missing. */
function numberPlate(kind) {
  if (kind !== "car") return undefined;
  const characters = [..."30A1234"].map((leading) => ({ symbol: leading, leading, confidence: 0.9, share: 1, looks: 3 }));
  const corrections = [{ position: 1, read: "O", taken: "0", cause: "confusable", looks: 1 }];
  return {
    text: "30A1234",
    display: "30A-1234",
    is_stated: true,
    is_final: true,
    characters,
    looks: 3,
    of: 4,
    corrections,
    may_be_cut: true,
  };
}

function chance(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const instant = (ms) => new Date(ms).toISOString().replace("Z", "000Z");
const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

const CAMERAS = [
  { camera: "nguyen-trai-01", name: "Nguyễn Trãi 01", box: "b-thanh-xuan", place: "Nguyễn Trãi – Khuất Duy Tiến", lat: 20.99563, lon: 105.80412 },
  { camera: "pho-hue-02", name: "Phố Huế 02", box: "b-hai-ba-trung", place: "Phố Huế – Trần Khát Chân", lat: 21.00986, lon: 105.85193 },
  { camera: "kim-ma-03", name: "Kim Mã 03", box: "b-hai-ba-trung", place: "Kim Mã – Liễu Giai", lat: 21.03112, lon: 105.81432 },
  { camera: "cau-giay-04", name: "Cầu Giấy 04", box: "b-cau-giay", place: "Cầu Giấy – Xuân Thủy", lat: 21.03634, lon: 105.79012 },
  { camera: "sim-junction", name: "Ngã tư mô phỏng", box: "b-thanh-xuan", place: "Ngã tư mô phỏng", lat: null, lon: null, simulated: true },
];

const predicate = (name, vi, en, value, comparison, threshold, unit, from, to) => ({
  name,
  label: { vi, en },
  value,
  comparison,
  threshold,
  ...(typeof value === "number" && typeof threshold === "number"
    ? { margin: Math.round((comparison.startsWith("<") ? threshold - value : value - threshold) * 1000) / 1000 }
    : {}),
  ...(unit === "" ? {} : { unit }),
  holds: true,
  first: from,
  last: to,
});

const round = (value, digits = 1) => Number(value.toFixed(digits));

/** What can happen: title, severity, facts and proof of each kind, one of them unknown to the screen. */
const HAPPENINGS = [
  {
    kind: "red_light",
    severity: "major",
    title: { vi: "Xe máy vượt đèn đỏ", en: "Motorcycle ran a red light" },
    class: "motorcycle",
    zone: "stop-line-north",
    make: (r, from, to) => {
      const red = round(0.8 + r() * 6);
      const into = round(4 + r() * 9);
      return {
        facts: { red_for_s: red, distance_m: into, speed_kmh: round(18 + r() * 25), signal_state: "red" },
        explanation: [
          predicate("signal_at_crossing", "Đèn lúc qua vạch", "Signal at the crossing", "red", "=", "red", "", to, to),
          predicate("red_for", "Đèn đã đỏ", "Red for", red, ">=", 0.5, "s", from, to),
          predicate("travel_beyond_line", "Đi quá vạch dừng", "Travel beyond the stop line", into, ">=", 3, "m", from, to),
          predicate("behind_line_at_red", "Ở sau vạch khi đèn chuyển đỏ", "Behind the line when red began", true, "=", true, "", from, from),
        ],
      };
    },
  },
  {
    kind: "wrong_way",
    severity: "critical",
    title: { vi: "Ô tô đi ngược chiều", en: "Car driving the wrong way" },
    class: "car",
    zone: "lane-2",
    make: (r, from, to) => {
      const deviation = round(140 + r() * 38);
      const travelled = round(11 + r() * 30);
      return {
        facts: { heading_deviation_deg: deviation, distance_m: travelled, speed_kmh: round(22 + r() * 30) },
        explanation: [
          predicate("heading_deviation", "Lệch so với chiều của làn", "Deviation from the lane's direction", deviation, ">", 120, "°", from, to),
          predicate("duration", "Kéo dài", "Kept up for", round(2.1 + r() * 3), ">=", 2, "s", from, to),
          predicate("distance", "Quãng đường ngược chiều", "Distance travelled", travelled, ">=", 10, "m", from, to),
        ],
      };
    },
  },
  {
    kind: "stopped_vehicle",
    severity: "major",
    title: { vi: "Xe tải dừng trên làn xe chạy", en: "Truck stopped on a traffic lane" },
    class: "truck",
    zone: "lane-1",
    make: (r, from, to) => {
      const dwell = round(60 + r() * 90);
      return {
        facts: { dwell_s: dwell, displacement_m: round(r() * 0.6, 2) },
        explanation: [
          predicate("dwell", "Thời gian đứng yên", "Time standing still", dwell, ">=", 60, "s", from, to),
          predicate("displacement", "Độ dịch chuyển", "Displacement", round(0.1 + r() * 0.6, 2), "<=", 1.5, "m", from, to),
          predicate("queue", "Không trong dòng ùn tắc", "Not in a queue", false, "=", false, "", from, to),
        ],
      };
    },
  },
  {
    kind: "pedestrian_on_carriageway",
    severity: "critical",
    title: { vi: "Người đi bộ dưới lòng đường", en: "Pedestrian on the carriageway" },
    class: "person",
    zone: "carriageway",
    make: (r, from, to) => {
      const inside = round(2.1 + r() * 8);
      return {
        facts: { dwell_s: inside, class: "person" },
        explanation: [
          predicate("time_inside", "Thời gian trong vùng cấm", "Time inside the zone", inside, ">=", 2, "s", from, to),
          predicate("class", "Đối tượng", "Road user", "person", "=", "person", "", to, to),
        ],
      };
    },
  },
  {
    kind: "loitering",
    severity: "minor",
    title: { vi: "Người lảng vảng gần trạm", en: "Person loitering near the stop" },
    class: "person",
    zone: "bus-stop",
    make: (r, from, to) => {
      const dwell = round(91 + r() * 120);
      return {
        facts: { dwell_s: dwell },
        explanation: [predicate("dwell", "Thời gian lưu lại", "Dwell", dwell, ">=", 90, "s", from, to)],
      };
    },
  },
  {
    kind: "blocked_drain",
    severity: "info",
    title: { vi: "Miệng cống bị che lấp", en: "Storm drain covered" },
    class: "other",
    zone: "kerb-east",
    make: (r, from, to) => ({
      facts: { covered_percent: round(70 + r() * 25), first_noticed: "camera" },
      explanation: [predicate("covered", "Tỷ lệ bị che", "Covered", round(71 + r() * 20), ">=", 70, "%", from, to)],
    }),
  },
];

export async function startMock({ port = 0, alerts: count = 60, everyMs = 0, seed = 7, dist = join(root, "dist") } = {}) {
  const random = chance(seed);
  const started = Date.now();
  let change = 0;
  /** Newest version of each alert, by id. */
  const alerts = new Map();
  /** Evidence by hash; painted when first asked for. */
  const files = new Map();
  const listeners = new Set();
  /** Everything ever said on the stream, so that it can be resumed. */
  const log = [];
  const faults = { refuseDecisions: false, streamDown: false };

  const uuid = () => {
    const hex = Array.from({ length: 32 }, () => Math.floor(random() * 16).toString(16)).join("");
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`;
  };

  function say(event, data) {
    const entry = { id: change, event, data };
    log.push(entry);
    for (const write of listeners) write(entry);
  }

  const summaryOf = ({ event, evidence, history, ...summary }) => summary;

  /** Puts a still where its hash is known before it is painted: the hash is of the recipe's bytes. */
  function file(recipe) {
    const bytes = paintStill({ ...recipe, random: chance(recipe.seed) });
    const digest = sha256(bytes);
    files.set(digest, bytes);
    return { digest, length: bytes.length };
  }
  // Painting takes its time; a few scenes, shared, are as good as one each.
  const scenes = [];
  function scene(index) {
    scenes[index] ??= (() => {
      const shared = { seed: 100 + index, isNight: index % 3 === 2, bounds: [0.3 + 0.07 * index, 0.42 + 0.05 * (index % 3), 0.11, 0.17] };
      return {
        bounds: shared.bounds,
        clean: file({ ...shared, isAnnotated: false }),
        annotated: file({ ...shared, isAnnotated: true }),
      };
    })();
    return scenes[index];
  }

  function raise(at, { quiet = false, kind } = {}) {
    const happening = HAPPENINGS.find((each) => each.kind === kind) ?? HAPPENINGS[Math.floor(random() * HAPPENINGS.length)];
    const simulatedKind = happening.kind === "red_light" || happening.kind === "wrong_way";
    const camera = simulatedKind && random() < 0.6 ? CAMERAS[4] : CAMERAS[Math.floor(random() * 4)];
    const lasted = 2_000 + Math.floor(random() * 9_000);
    const frame = 12_000 + Math.floor((at - started) / 40) + 90_000;
    const from = { frame, time: instant(at) };
    const to = { frame: frame + Math.round(lasted / 100), time: instant(at + lasted) };
    const { facts, explanation } = happening.make(random, from, to);
    const still = scene(Math.floor(random() * 5));
    const hasStill = random() > 0.06;
    const place = { name: camera.place, ...(camera.lat === null ? {} : { latitude: camera.lat, longitude: camera.lon }) };
    const id = uuid();
    change += 1;
    const evidence = [
      ["still_annotated", still.annotated],
      ["still_clean", still.clean],
    ].map(([role, { digest, length }]) => ({
      role,
      sha256: digest,
      length,
      media_type: "image/png",
      captured: to.time,
      available: hasStill,
      url: `/api/v1/evidence/${digest}`,
    }));
    const alert = {
      id,
      kind: happening.kind,
      severity: happening.severity,
      title: happening.title,
      site: "ha-noi",
      box: camera.box,
      camera: camera.camera,
      camera_name: camera.name,
      place,
      occurred_at: from.time,
      decided_at: to.time,
      received_at: instant(at + lasted + 320),
      ended_at: random() < 0.5 ? to.time : null,
      state: "new",
      machine: random() < 0.5 ? "raised" : "cleared",
      revision: 1,
      simulated: camera.simulated === true,
      zone: happening.zone,
      still_url: hasStill ? `/api/v1/evidence/${still.annotated.digest}` : null,
      still_clean_url: hasStill ? `/api/v1/evidence/${still.clean.digest}` : null,
      lock: null,
      change,
      event: {
        id,
        rule: `${happening.kind.replaceAll("_", "-")}-1`,
        phase: "start",
        decided: to,
        time_quality: camera.simulated ? "media" : random() < 0.7 ? "rtcp" : "arrival",
        actors: [
          {
            track: `t-${uuid().slice(0, 13)}`,
            class: happening.class,
            score: round(0.55 + random() * 0.4, 3),
            box: still.bounds,
            path: [],
            plate: numberPlate(happening.class),
          },
        ],
        facts,
        explanation,
        provenance: {
          agent: "0.1.0",
          model: "yolox-nano",
          model_digest: sha256("model"),
          second: happening.class === "person" ? undefined : [
            { model: "ppocr-v4-det", model_digest: sha256("det"), manifest_digest: sha256("det.toml") },
            { model: "ppocr-v4-rec", version: 3, model_digest: sha256("rec"), manifest_digest: sha256("rec.toml") },
          ],
          configuration: sha256(camera.camera),
        },
      },
      evidence,
      missing: [],
      evidence_complete: false,
      clock: null,
      history: [
        { at: instant(at + lasted + 320), actor: `ha-noi/${camera.box}`, action: "raised", from: null, to: "raised", reason: null, note: null },
      ],
    };
    alerts.set(id, alert);
    if (!quiet) say("alert", summaryOf(alert));
    return alert;
  }

  function update(alert, changes, entry) {
    change += 1;
    Object.assign(alert, changes, { change });
    alert.history.push({ at: instant(Date.now()), from: null, to: null, reason: null, note: null, ...entry });
    say("alert", summaryOf(alert));
  }

  for (let index = count; index > 0; index -= 1) {
    const alert = raise(started - index * index * 900 - 30_000, { quiet: true });
    const luck = random();
    if (index > 4 && luck < 0.55) {
      change += 1;
      alert.state = "acknowledged";
      alert.change = change;
      alert.history.push({ at: instant(started - 20_000), actor: "Lê Minh", action: "acknowledge", from: "new", to: "acknowledged", reason: null, note: null });
      if (luck < 0.3) {
        alert.state = "resolved";
        alert.history.push({ at: instant(started - 9_000), actor: "Lê Minh", action: "resolve", from: "acknowledged", to: "resolved", reason: luck < 0.15 ? "confirmed" : "false_alarm", note: luck < 0.1 ? "Đã chuyển công an phường." : null });
      }
    }
  }

  const cameras = CAMERAS.map((camera, index) => ({
    site: "ha-noi",
    box: camera.box,
    camera: camera.camera,
    name: camera.name,
    place: { name: camera.place },
    ...(camera.simulated ? { simulated: true } : {}),
    health: ["watching", "degraded", "lost", "watching", "watching"][index],
    ...(index === 1 ? { reason: { vi: "Đồng hồ camera lệch 2,4 s; đang dùng giờ hộp biên. Chỉnh NTP của camera.", en: "The camera's clock is 2.4 s off; using the box's. Set the camera's NTP." } } : {}),
    ...(index === 3 ? { evidence_stream: { health: "lost", reason: { vi: "Mất luồng chính: bằng chứng lấy từ luồng phụ. Kiểm tra camera.", en: "The main stream is lost: evidence is made of the sub-stream. Look at the camera." }, since: instant(started - 60_000) } } : {}),
    ...(index === 2 ? { reason: { vi: "Camera từ chối mật khẩu (401). Kiểm tra user và password trong cấu hình.", en: "The camera refused the password (401). Check user and password in the configuration." } } : {}),
    since: instant(started - 3_600_000 * (index + 1)),
    at: instant(started),
    retries: index * 3,
    frames_received: index === 2 ? 0 : 91_234 * (index + 1),
    frames_analysed: index === 2 ? 0 : 36_400 * (index + 1),
    frames_dropped: index === 2 ? 0 : 1_900 * (index + 1),
    analysed_fps: index === 2 ? 0 : 9.8 - index * 0.4,
    ...(index === 2 ? {} : { time_quality: ["rtcp", "arrival", "rtcp", "rtcp", "media"][index] }),
    model: "yolox-nano",
    box_online: camera.box !== "b-cau-giay",
    received_at: instant(camera.box === "b-cau-giay" ? started - 1_400_000 : started),
  }));
  const boxes = [
    { site: "ha-noi", box: "b-thanh-xuan", online: true, version: "0.1.0", at: instant(started - 9e6), outbox_waiting: 0 },
    { site: "ha-noi", box: "b-hai-ba-trung", online: true, version: "0.1.0", at: instant(started - 8e6), outbox_waiting: 14 },
    { site: "ha-noi", box: "b-cau-giay", online: false, version: "0.0.9", at: instant(started - 7e6), outbox_waiting: 0 },
  ];

  const problem = (response, status, title, detail) => {
    response.writeHead(status, { "Content-Type": "application/problem+json" });
    response.end(JSON.stringify({ type: "about:blank", title, status, detail }));
  };
  const json = (response, content) => {
    response.writeHead(200, { "Content-Type": "application/json", "Cache-Control": "no-store" });
    response.end(JSON.stringify(content));
  };

  const sorted = () =>
    [...alerts.values()].sort((a, b) =>
      a.occurred_at === b.occurred_at ? (a.id < b.id ? 1 : -1) : a.occurred_at < b.occurred_at ? 1 : -1,
    );

  function list(response, query) {
    const wanted = (key) => query.getAll(key).flatMap((value) => value.split(",")).filter((word) => word !== "");
    const keys = ["kind", "camera", "state", "severity", "box", "site"].map((key) => [key, wanted(key)]);
    const cursor = query.get("cursor");
    const limit = Math.min(200, Number(query.get("limit") ?? 50));
    const found = sorted()
      .filter((alert) => keys.every(([key, words]) => words.length === 0 || words.includes(alert[key])))
      .filter((alert) => query.get("simulated") !== "false" || !alert.simulated);
    const from = cursor === null ? 0 : found.findIndex((alert) => alert.id === cursor) + 1;
    const items = found.slice(from, from + limit);
    json(response, { items: items.map(summaryOf), next: from + limit < found.length ? items.at(-1).id : null });
  }

  async function decide(request, response, id, action) {
    let body = "";
    for await (const part of request) body += part;
    const alert = alerts.get(id);
    if (alert === undefined) return problem(response, 404, "no such alert", `there is no alert ${id}`);
    const { actor, reason, note } = JSON.parse(body);
    if (faults.refuseDecisions) return problem(response, 503, "store is not writable", "the disk under the data directory is full; free some space");
    if (typeof actor !== "string" || actor.trim() === "") return problem(response, 422, "actor is missing", "say who decides in `actor`");
    if (action === "lock" || action === "unlock") {
      if (typeof reason !== "string" || reason.trim() === "") return problem(response, 400, "reason is missing", "say why in `reason`");
      if ((alert.lock !== null) === (action === "lock")) return problem(response, 409, "wrong lock", "it is locked already, or not locked");
      const lock = action === "lock" ? { at: instant(Date.now()), actor, reason } : null;
      update(alert, { lock }, { actor, action, from: alert.state, to: alert.state, note: reason });
      return json(response, alert);
    }
    const [from, to] = action === "acknowledge" ? ["new", "acknowledged"] : ["acknowledged", "resolved"];
    if (alert.state !== from) return problem(response, 409, "wrong transition", `the alert is ${alert.state}; only a ${from} one can be ${to}`);
    if (action === "resolve" && reason === undefined) return problem(response, 422, "reason is missing", "name a reason");
    update(alert, { state: to }, { actor, action, from, to, reason: reason ?? null, note: note ?? null });
    return json(response, alert);
  }

  function stream(request, response) {
    if (faults.streamDown) return problem(response, 503, "not ready", "starting");
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    response.write(`id: ${change}\nevent: ready\ndata: {"change":${change},"resumed":true}\n\n`);
    const write = ({ id, event, data }) => response.write(`id: ${id}\nevent: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    const resume = Number(request.headers["last-event-id"] ?? NaN);
    if (!Number.isNaN(resume)) for (const entry of log) if (entry.id > resume) write(entry);
    listeners.add(write);
    const alive = setInterval(() => response.write(": alive\n\n"), 10_000);
    response.on("close", () => {
      clearInterval(alive);
      listeners.delete(write);
    });
    open.add(response);
    response.on("close", () => open.delete(response));
    return undefined;
  }
  const open = new Set();

  async function asset(response, path) {
    const name = path === "/" ? "index.html" : normalize(path).replace(/^\/+/, "");
    try {
      if (name.startsWith("..")) throw new Error("outside");
      const body = await readFile(join(dist, name));
      response.writeHead(200, {
        "Content-Type": MEDIA_TYPES[extname(name)] ?? "application/octet-stream",
        "Content-Security-Policy": CSP,
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": name === "index.html" ? "no-cache" : "public, max-age=31536000, immutable",
      });
      response.end(body);
    } catch {
      problem(response, 404, "not found", `there is no ${path}`);
    }
  }

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? "/", "http://mock");
    const path = url.pathname;
    const [, id, action] = /^\/api\/v1\/alerts\/([^/]+)(?:\/(acknowledge|resolve|lock|unlock))?$/.exec(path) ?? [];
    if (path === "/api/v1/alerts") list(response, url.searchParams);
    else if (id !== undefined && action !== undefined && request.method === "POST") void decide(request, response, id, action);
    else if (id !== undefined) {
      const alert = alerts.get(id);
      if (alert === undefined) problem(response, 404, "no such alert", `there is no alert ${id}`);
      else json(response, alert);
    } else if (path === "/api/v1/cameras") json(response, { items: cameras, boxes });
    else if (path === "/api/v1/kinds") {
      const counts = new Map();
      for (const { kind, state } of alerts.values()) {
        const states = counts.get(kind) ?? {};
        counts.set(kind, { ...states, [state]: (states[state] ?? 0) + 1 });
      }
      const total = (states) => Object.values(states).reduce((a, b) => a + b, 0);
      json(response, { items: [...counts].map(([kind, states]) => ({ kind, count: total(states), states })) });
    } else if (path === "/api/v1/stream") stream(request, response);
    else if (path.startsWith("/api/v1/evidence/")) {
      const bytes = files.get(path.slice("/api/v1/evidence/".length));
      if (bytes === undefined) problem(response, 404, "no such evidence", "it has not been uploaded");
      else {
        response.writeHead(200, { "Content-Type": "image/png", "Cache-Control": "public, max-age=31536000, immutable" });
        response.end(bytes);
      }
    } else void asset(response, path);
  });

  const beat = setInterval(() => {
    for (const camera of cameras) {
      if (camera.box === "b-cau-giay" || camera.health === "lost") continue;
      change += 1;
      camera.change = change;
      camera.at = camera.received_at = instant(Date.now());
      camera.frames_received += 50;
      say("camera", camera);
    }
  }, 5_000);
  const rain = everyMs > 0 ? setInterval(() => raise(Date.now() - 4_000), everyMs) : null;

  await new Promise((done) => server.listen(port, "127.0.0.1", done));

  return {
    url: `http://127.0.0.1:${server.address().port}`,
    raise: (kind) => raise(Date.now() - 3_000, { kind }),
    /** Gives an alert other evidence, as a box that has said all. */
    settle: (id, changes) => update(alerts.get(id), changes, { actor: "ha-noi/b", action: "updated", to: "updated" }),
    /** All that is known of an alert. */
    detail: (id) => alerts.get(id),
    /** Somebody else, on another screen. */
    acknowledgeElsewhere: (id) =>
      update(alerts.get(id), { state: "acknowledged" }, { actor: "Trần Hoa", action: "acknowledge", from: "new", to: "acknowledged" }),
    boxes: () => boxes,
    setBox: (name, online) => {
      const box = boxes.find((each) => each.box === name);
      change += 1;
      box.online = online;
      box.change = change;
      say("box", box);
    },
    faults,
    cutStreams: () => {
      for (const response of open) response.destroy();
    },
    close: () =>
      new Promise((done) => {
        clearInterval(beat);
        if (rain !== null) clearInterval(rain);
        for (const response of open) response.destroy();
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const mock = await startMock({
    port: Number(process.argv[2] ?? 0),
    alerts: Number(process.env.MOCK_ALERTS ?? 60),
    everyMs: Number(process.env.MOCK_EVERY_MS ?? 8_000),
    seed: Number(process.env.MOCK_SEED ?? 7),
  });
  console.log(mock.url);
  for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => void mock.close().then(() => process.exit(0)));
}
