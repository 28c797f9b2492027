/**
 * The words of the aggregator's REST contract, as the screen understands them.
 *
 * They mirror the `protocol` crate. Words that a newer centre may add (a kind,
 * a severity, a health) are read by `decode.ts`, so that one unknown word never
 * blanks the list.
 */

/** What a person decided about an alert. */
export type AlertState = "new" | "acknowledged" | "resolved";
export const ALERT_STATES: readonly AlertState[] = ["new", "acknowledged", "resolved"];

/** How soon somebody should look, most urgent first. */
export type Severity = "critical" | "major" | "minor" | "info";
export const SEVERITIES: readonly Severity[] = ["critical", "major", "minor", "info"];

/** What the machine says, apart from what people decided. */
export type MachineState = "raised" | "updated" | "cleared";

/** Why a case was closed; the centre refuses any other word. */
export type ResolveReason = "confirmed" | "false_alarm" | "unverifiable" | "duplicate" | "test";
export const RESOLVE_REASONS: readonly ResolveReason[] = [
  "confirmed",
  "false_alarm",
  "unverifiable",
  "duplicate",
  "test",
];

export type TimeQuality = "rtcp" | "arrival" | "media" | "unknown";
export type CameraHealth = "connecting" | "watching" | "degraded" | "lost" | "stopped" | "unknown";
export type EvidenceRole = "still_clean" | "still_annotated" | "clip" | "plate_crop" | "finding_crop" | "case_manifest" | "other";
export type Comparison = ">=" | ">" | "<=" | "<" | "=";

/** RFC 3339, UTC, six decimals: text order is time order. */
export type Instant = string;
/** A flag, a number or a word, as the rule wrote it. */
export type Value = boolean | number | string;

export interface Words {
  vi: string;
  en: string;
}

export interface Place {
  name: string;
  latitude: number | null;
  longitude: number | null;
}

export interface AlertSummary {
  id: string;
  kind: string;
  severity: Severity;
  title: Words;
  site: string;
  box: string;
  camera: string;
  camera_name: string;
  place: Place | null;
  /** Onset. */
  occurred_at: Instant;
  decided_at: Instant | null;
  received_at: Instant | null;
  ended_at: Instant | null;
  state: AlertState;
  machine: MachineState;
  revision: number;
  simulated: boolean;
  zone: string | null;
  still_url: string | null;
  still_clean_url: string | null;
  /** Who locked its evidence. */
  lock: EvidenceLock | null;
  /** Number of the change that made this version; a higher one is newer. */
  change: number;
}

/** While it is set the centre removes none of the evidence. */
export interface EvidenceLock {
  at: Instant | null;
  actor: string;
  reason: string;
}

export interface FrameTime {
  frame: number;
  time: Instant;
}

export interface Predicate {
  name: string;
  label: Words;
  value: Value;
  comparison: Comparison;
  threshold: Value;
  /** Signed; positive is on the side of the event. Null for words. */
  margin: number | null;
  unit: string;
  holds: boolean;
  first: FrameTime | null;
  last: FrameTime | null;
}

export interface Actor {
  track: string;
  class: string;
  score: number;
  /** Left, top, width, height as fractions of the picture. */
  bounds: Box | null;
  /** What was read of its plate; null: nobody reads plates of its class there. */
  plate: NumberPlate | null;
}

export interface NumberPlate {
  /** As it stands on the plate, `?` for what is not stated; empty: nothing was read. */
  display: string;
  is_stated: boolean;
  /** A character may be missing. */
  may_be_cut: boolean;
  /** Why it is not stated. */
  reason: Words | null;
  /** Looks that read it, of so many. */
  looks: number;
  of: number;
  /** Each character that most looks say, with their mean confidence, 0 to 1. */
  characters: { leading: string; confidence: number }[];
  corrections: PlateCorrection[];
}

export interface PlateCorrection {
  /** From 0. */
  position: number;
  read: string;
  taken: string;
  looks: number;
}

/** A look that voted for the event; a `finding_crop` taken at `taken` shows its `part`. */
export interface Look {
  at: FrameTime;
  class: string;
  /** 0 to 1. */
  score: number;
  /** What is cut out of the picture: left, top, width, height as fractions of it. */
  part: Box;
  /** Where it was seen, likewise; null: a classifier's word, about all of the part. */
  bounds: Box | null;
  /** Another model than the detector saw it. */
  is_second: boolean;
  /** When the picture was taken that was looked at. */
  taken: Instant;
}

/** Left, top, width, height. */
export type Box = [number, number, number, number];

export interface Provenance {
  agent: string;
  configuration: string | null;
  calibration: string | null;
  model: string | null;
  model_digest: string | null;
  /** The other models whose looks counted: at plates, heads, drivers, fire. */
  second: SecondModel[];
}

export interface SecondModel {
  model: string;
  version: number | null;
  model_digest: string | null;
  manifest_digest: string | null;
}

/** What of the event the screen shows beyond the summary. */
export interface EventDetail {
  rule: string;
  phase: string;
  decided: FrameTime | null;
  time_quality: TimeQuality;
  actors: Actor[];
  facts: [key: string, value: Value][];
  explanation: Predicate[];
  /** Those that show it best, where it is a vote over looks. */
  looks: Look[];
  provenance: Provenance;
}

export interface EvidenceItem {
  role: EvidenceRole;
  sha256: string;
  length: number;
  media_type: string;
  captured: Instant | null;
  /** When a clip ends. */
  until: Instant | null;
  /** What was asked for, where a clip is shorter. */
  asked: { from: Instant; to: Instant } | null;
  /** What else must be known of it. */
  note: Words | null;
  /** Whether the file itself is at the centre. */
  available: boolean;
  /** When and as what retention removed it. */
  removed: { at: Instant; class: string; days: number } | null;
  url: string | null;
}

export interface HistoryEntry {
  at: Instant;
  actor: string;
  action: string;
  from: string | null;
  to: string | null;
  reason: string | null;
  note: string | null;
}

/** What an alert's evidence lacks and will never have. */
export interface MissingEvidence {
  role: EvidenceRole;
  at: Instant | null;
  reason: Words;
}

export interface AlertDetail extends AlertSummary {
  event: EventDetail;
  evidence: EvidenceItem[];
  missing: MissingEvidence[];
  /** Whether the box will announce no more. */
  evidence_complete: boolean;
  /** The clock of its times, once the signed case is here. */
  clock: { uncertainty_s: number | null } | null;
  history: HistoryEntry[];
}

export interface AlertPage {
  items: AlertSummary[];
  next: string | null;
}

export interface CameraStatus {
  site: string;
  box: string;
  camera: string;
  name: string;
  place: Place | null;
  simulated: boolean;
  health: CameraHealth;
  reason: Words | null;
  since: Instant | null;
  at: Instant | null;
  retries: number;
  frames_received: number;
  frames_analysed: number;
  frames_dropped: number;
  analysed_fps: number;
  time_quality: TimeQuality | null;
  model: string | null;
  /** How the stream is that evidence is made of, where that is another one. */
  evidence_stream: { health: CameraHealth; reason: Words | null; since: Instant | null } | null;
  /** Null when the centre has not heard of the box itself. */
  box_online: boolean | null;
  /** When this status reached the centre, by the centre's clock; the box's own time where it is not told. */
  heard_at: Instant | null;
  /** Number of its last change; a higher one is newer. */
  change: number;
}

export interface BoxStatus {
  site: string;
  box: string;
  online: boolean;
  version: string;
  at: Instant | null;
  outbox_waiting: number;
  trouble: Words | null;
  /** Number of its last change; a higher one is newer. */
  change: number;
}

/** How many alerts of a kind the centre holds. */
export interface KindCount {
  kind: string;
  count: number;
}
