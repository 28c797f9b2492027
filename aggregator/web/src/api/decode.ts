/**
 * Reads what the centre sent into the types of `types.ts`, once, at the edge.
 *
 * A missing optional becomes null, an unknown word the most careful known one
 * (an unknown severity is shown as major: better looked at than overlooked),
 * and an item without an identity is refused as null so that the caller leaves
 * it out instead of showing something nobody can open.
 */

import type {
  Actor,
  AlertDetail,
  AlertPage,
  AlertState,
  AlertSummary,
  Box,
  BoxStatus,
  CameraHealth,
  CameraStatus,
  Comparison,
  EventDetail,
  EvidenceItem,
  EvidenceLock,
  EvidenceRole,
  FrameTime,
  HistoryEntry,
  KindCount,
  MachineState,
  Look,
  MissingEvidence,
  NumberPlate,
  Place,
  Predicate,
  SecondModel,
  Severity,
  TimeQuality,
  Value,
  Words,
} from "./types.ts";

type Fields = Record<string, unknown>;

const fields = (input: unknown): Fields =>
  typeof input === "object" && input !== null && !Array.isArray(input) ? (input as Fields) : {};
const list = (input: unknown): unknown[] => (Array.isArray(input) ? input : []);
const text = (input: unknown): string => (typeof input === "string" ? input : "");
const textOrNull = (input: unknown): string | null => (typeof input === "string" && input !== "" ? input : null);
const number = (input: unknown): number => (typeof input === "number" && Number.isFinite(input) ? input : 0);
const numberOrNull = (input: unknown): number | null =>
  typeof input === "number" && Number.isFinite(input) ? input : null;
const present = <T>(item: T | null): item is T => item !== null;

function word<T extends string>(input: unknown, known: readonly T[], otherwise: T): T {
  return known.find((candidate) => candidate === input) ?? otherwise;
}

function words(input: unknown): Words | null {
  if (typeof input === "string" && input !== "") return { vi: input, en: input };
  const { vi, en } = fields(input);
  const either = textOrNull(vi) ?? textOrNull(en);
  return either === null ? null : { vi: textOrNull(vi) ?? either, en: textOrNull(en) ?? either };
}

function value(input: unknown): Value {
  return typeof input === "boolean" || typeof input === "number" || typeof input === "string"
    ? input
    : JSON.stringify(input ?? null);
}

function place(input: unknown): Place | null {
  if (typeof input === "string") return input === "" ? null : { name: input, latitude: null, longitude: null };
  const { name, latitude, longitude } = fields(input);
  const named = textOrNull(name);
  return named === null ? null : { name: named, latitude: numberOrNull(latitude), longitude: numberOrNull(longitude) };
}

function frameTime(input: unknown): FrameTime | null {
  const { frame, time } = fields(input);
  const at = textOrNull(time);
  return at === null ? null : { frame: number(frame), time: at };
}

/** Only addresses on the centre itself: what a box wrote must not make the browser call elsewhere. */
function ownAddress(input: unknown): string | null {
  const address = textOrNull(input);
  return address !== null && /^\/(?![/\\])/.test(address) ? address : null;
}

function evidenceLock(input: unknown): EvidenceLock | null {
  const { at, actor, reason } = fields(input);
  const who = textOrNull(actor);
  return who === null ? null : { at: textOrNull(at), actor: who, reason: text(reason) };
}

export function alertSummary(input: unknown): AlertSummary | null {
  const item = fields(input);
  const id = textOrNull(item["id"]);
  const occurred = textOrNull(item["occurred_at"]);
  if (id === null || occurred === null) return null;
  const kind = text(item["kind"]);
  const camera = text(item["camera"]);
  return {
    id,
    kind,
    severity: word<Severity>(item["severity"], ["critical", "major", "minor", "info"], "major"),
    title: words(item["title"]) ?? { vi: kind, en: kind },
    site: text(item["site"]),
    box: text(item["box"]),
    camera,
    camera_name: textOrNull(item["camera_name"]) ?? camera,
    place: place(item["place"]),
    occurred_at: occurred,
    decided_at: textOrNull(item["decided_at"]),
    received_at: textOrNull(item["received_at"]),
    ended_at: textOrNull(item["ended_at"]),
    state: word<AlertState>(item["state"], ["new", "acknowledged", "resolved"], "new"),
    machine: word<MachineState>(item["machine"], ["raised", "updated", "cleared"], "raised"),
    revision: number(item["revision"]),
    simulated: item["simulated"] === true,
    zone: textOrNull(item["zone"]),
    still_url: ownAddress(item["still_url"]),
    still_clean_url: ownAddress(item["still_clean_url"]),
    lock: evidenceLock(item["lock"]),
    change: number(item["change"]),
  };
}

export function alertPage(input: unknown): AlertPage {
  const { items, next } = fields(input);
  return { items: list(items).map(alertSummary).filter(present), next: textOrNull(next) };
}

function predicate(input: unknown): Predicate {
  const item = fields(input);
  const name = text(item["name"]);
  return {
    name,
    label: words(item["label"]) ?? { vi: name, en: name },
    value: value(item["value"]),
    comparison: word<Comparison>(item["comparison"], [">=", ">", "<=", "<", "="], "="),
    threshold: value(item["threshold"]),
    margin: numberOrNull(item["margin"]),
    unit: text(item["unit"]),
    holds: item["holds"] !== false,
    first: frameTime(item["first"]),
    last: frameTime(item["last"]),
  };
}

function box(input: unknown): Box | null {
  const [x, y, width, height] = list(input).map(numberOrNull).filter(present);
  return x === undefined || y === undefined || width === undefined || height === undefined ? null : [x, y, width, height];
}

function look(input: unknown): Look | null {
  const item = fields(input);
  const [at, part] = [frameTime(item["at"]), box(item["part"])];
  if (at === null || part === null) return null;
  return {
    at,
    class: textOrNull(item["class"]) ?? "other",
    score: number(item["score"]),
    part,
    bounds: box(item["box"]),
    is_second: item["is_second"] === true,
    taken: textOrNull(item["main"]) ?? at.time,
  };
}

function actor(input: unknown): Actor {
  const item = fields(input);
  return {
    track: text(item["track"]),
    class: textOrNull(item["class"]) ?? "other",
    score: number(item["score"]),
    bounds: box(item["box"]),
    plate: numberPlate(item["plate"]),
  };
}

function numberPlate(input: unknown): NumberPlate | null {
  const item = fields(input);
  if (typeof item["display"] !== "string") return null;
  return {
    display: item["display"],
    is_stated: item["is_stated"] === true,
    may_be_cut: item["may_be_cut"] === true,
    reason: words(item["reason"]),
    looks: number(item["looks"]),
    of: number(item["of"]),
    characters: list(item["characters"])
      .map(fields)
      .map((each) => ({ leading: text(each["leading"]), confidence: number(each["confidence"]) })),
    corrections: list(item["corrections"])
      .map(fields)
      .map((each) => ({
        position: number(each["position"]),
        read: text(each["read"]),
        taken: text(each["taken"]),
        looks: number(each["looks"]),
      })),
  };
}

const timeQuality = (input: unknown): TimeQuality =>
  word<TimeQuality>(input, ["rtcp", "arrival", "media", "unknown"], "unknown");

function secondModel(input: unknown): SecondModel {
  const item = fields(input);
  return {
    model: text(item["model"]),
    version: numberOrNull(item["version"]),
    model_digest: textOrNull(item["model_digest"]),
    manifest_digest: textOrNull(item["manifest_digest"]),
  };
}

function eventDetail(input: unknown): EventDetail {
  const item = fields(input);
  const made = fields(item["provenance"]);
  return {
    rule: text(item["rule"]),
    phase: text(item["phase"]),
    decided: frameTime(item["decided"]),
    time_quality: timeQuality(item["time_quality"]),
    actors: list(item["actors"]).map(actor),
    facts: Object.entries(fields(item["facts"])).map(([key, fact]) => [key, value(fact)]),
    explanation: list(item["explanation"]).map(predicate),
    looks: list(item["looks"]).map(look).filter(present),
    provenance: {
      agent: text(made["agent"]),
      configuration: textOrNull(made["configuration"]),
      calibration: textOrNull(made["calibration"]),
      model: textOrNull(made["model"]),
      model_digest: textOrNull(made["model_digest"]),
      second: list(made["second"]).map(secondModel),
    },
  };
}

const evidenceRole = (input: unknown): EvidenceRole =>
  word<EvidenceRole>(input, ["still_clean", "still_annotated", "clip", "plate_crop", "finding_crop", "case_manifest", "other"], "other");

function span(input: unknown): EvidenceItem["asked"] {
  const { from, to } = fields(input);
  const [begin, end] = [textOrNull(from), textOrNull(to)];
  return begin === null || end === null ? null : { from: begin, to: end };
}

function removal(input: unknown): EvidenceItem["removed"] {
  const item = fields(input);
  const at = textOrNull(item["at"]);
  return at === null ? null : { at, class: text(item["class"]), days: number(item["days"]) };
}

function missingEvidence(input: unknown): MissingEvidence | null {
  const item = fields(input);
  const reason = words(item["reason"]);
  return reason === null ? null : { role: evidenceRole(item["role"]), at: textOrNull(item["at"]), reason };
}

function evidenceItem(input: unknown): EvidenceItem | null {
  const item = fields(input);
  const sha256 = textOrNull(item["sha256"]);
  if (sha256 === null) return null;
  return {
    role: evidenceRole(item["role"]),
    sha256,
    length: number(item["length"]),
    media_type: text(item["media_type"]),
    captured: textOrNull(item["captured"]),
    until: textOrNull(item["until"]),
    asked: span(item["asked"]),
    note: words(item["note"]),
    available: item["available"] === true,
    removed: removal(item["removed"]),
    url: ownAddress(item["url"]),
  };
}

function historyEntry(input: unknown): HistoryEntry | null {
  const item = fields(input);
  const at = textOrNull(item["at"]);
  if (at === null) return null;
  return {
    at,
    actor: text(item["actor"]),
    action: text(item["action"]),
    from: textOrNull(item["from"]),
    to: textOrNull(item["to"]),
    reason: textOrNull(item["reason"]),
    note: textOrNull(item["note"]),
  };
}

export function alertDetail(input: unknown): AlertDetail | null {
  const summary = alertSummary(input);
  if (summary === null) return null;
  const { event, evidence, missing, evidence_complete, clock, history } = fields(input);
  return {
    ...summary,
    event: eventDetail(event),
    evidence: list(evidence).map(evidenceItem).filter(present),
    missing: list(missing).map(missingEvidence).filter(present),
    evidence_complete: evidence_complete === true,
    clock: clock == null ? null : { uncertainty_s: numberOrNull(fields(clock)["uncertainty_s"]) },
    history: list(history).map(historyEntry).filter(present),
  };
}

const health = (input: unknown): CameraHealth =>
  word<CameraHealth>(input, ["connecting", "watching", "degraded", "lost", "stopped", "unknown"], "unknown");

export function cameraStatus(input: unknown): CameraStatus | null {
  const item = fields(input);
  const camera = textOrNull(item["camera"]);
  if (camera === null) return null;
  const online = item["box_online"];
  const evidence = fields(item["evidence_stream"]);
  return {
    site: text(item["site"]),
    box: text(item["box"]),
    camera,
    name: textOrNull(item["name"]) ?? camera,
    place: place(item["place"]),
    simulated: item["simulated"] === true,
    health: health(item["health"]),
    reason: words(item["reason"]),
    since: textOrNull(item["since"]),
    at: textOrNull(item["at"]),
    retries: number(item["retries"]),
    frames_received: number(item["frames_received"]),
    frames_analysed: number(item["frames_analysed"]),
    frames_dropped: number(item["frames_dropped"]),
    analysed_fps: number(item["analysed_fps"]),
    time_quality: item["time_quality"] == null ? null : timeQuality(item["time_quality"]),
    model: textOrNull(item["model"]),
    evidence_stream:
      item["evidence_stream"] == null
        ? null
        : { health: health(evidence["health"]), reason: words(evidence["reason"]), since: textOrNull(evidence["since"]) },
    box_online: typeof online === "boolean" ? online : null,
    heard_at: textOrNull(item["received_at"]) ?? textOrNull(item["at"]),
    change: number(item["change"]),
  };
}

export function boxStatus(input: unknown): BoxStatus | null {
  const item = fields(input);
  const box = textOrNull(item["box"]);
  if (box === null) return null;
  return {
    site: text(item["site"]),
    box,
    online: item["online"] === true,
    version: text(item["version"]),
    at: textOrNull(item["at"]),
    outbox_waiting: number(item["outbox_waiting"]),
    trouble: words(item["trouble"]),
    change: number(item["change"]),
  };
}

export function cameraList(input: unknown): { cameras: CameraStatus[]; boxes: BoxStatus[] } {
  const { items, boxes } = fields(input);
  return {
    cameras: list(items).map(cameraStatus).filter(present),
    boxes: list(boxes).map(boxStatus).filter(present),
  };
}

/** One row per kind, whether the centre counts per kind or per kind and state. */
export function kindCounts(input: unknown): KindCount[] {
  const totals = new Map<string, number>();
  for (const row of list(fields(input)["items"]).map(fields)) {
    const kind = textOrNull(row["kind"]);
    if (kind === null) continue;
    const perState = Object.values(fields(row["states"] ?? row["counts"])).map(number);
    const count = numberOrNull(row["count"]) ?? numberOrNull(row["total"]) ?? perState.reduce((a, b) => a + b, 0);
    totals.set(kind, (totals.get(kind) ?? 0) + count);
  }
  return [...totals].map(([kind, count]) => ({ kind, count })).sort((a, b) => a.kind.localeCompare(b.kind));
}
