/**
 * Every word the screen says. A language is one value of this type, so a
 * missing or misspelt key does not compile.
 */

import type {
  AlertState,
  EvidenceRole,
  MachineState,
  ResolveReason,
  Severity,
  TimeQuality,
  Comparison,
} from "../api/types.ts";
import type { Watch } from "../cameras/watch.ts";

export type Language = "vi" | "en";
export const LANGUAGES: readonly Language[] = ["vi", "en"];

/** Kinds the screen can name; any other shows the event's own title. */
export type KnownKind =
  | "red_light"
  | "wrong_way"
  | "stopped_vehicle"
  | "pedestrian_on_carriageway"
  | "loitering"
  | "illegal_parking"
  | "speeding"
  | "no_helmet"
  | "congestion"
  | "crash"
  | "fire"
  | "smoke";

/** Facts the screen can name, without their unit; any other shows its key as words. */
export type KnownFact =
  | "dwell"
  | "speed"
  | "ground_speed"
  | "distance"
  | "displacement"
  | "radius"
  | "heading"
  | "heading_deviation"
  | "deviation"
  | "duration"
  | "red_for"
  | "since_red"
  | "time_since_red"
  | "limit"
  | "plate"
  | "plate_reading"
  | "class"
  | "zone"
  | "line"
  | "signal"
  | "signal_group"
  | "signal_state"
  | "confidence"
  | "signal_at_crossing"
  | "signal_source"
  | "signal_confidence"
  | "signal_before_line"
  | "signal_for_before_line"
  | "signal_past_line"
  | "signal_for_past_line"
  | "signal_further_on"
  | "signal_for_further_on"
  | "signal_standing"
  | "signal_for_standing"
  | "crossing_x"
  | "crossing_y"
  | "count"
  | "crossed_at"
  | "direction"
  | "basis"
  | "hidden"
  | "absent"
  | "against_lane"
  | "end_reason";

/** Values that rules write as words. */
export type KnownWord =
  | "person"
  | "bicycle"
  | "motorcycle"
  | "car"
  | "bus"
  | "truck"
  | "train"
  | "animal"
  | "helmet"
  | "no_helmet"
  | "phone"
  | "seat_belt"
  | "no_seat_belt"
  | "fire"
  | "smoke"
  | "other"
  | "red"
  | "amber"
  | "yellow"
  | "green"
  | "off"
  | "unknown"
  | "flashing"
  | "inside"
  | "outside"
  | "vehicle"
  | "ground"
  | "picture"
  | "left"
  | "lost_from_view"
  | "stream_ended"
  | "clock_step"
  | "cleared"
  | "off_schedule"
  | "blocked"
  | "defocused"
  | "moved"
  | "frozen"
  | "dark"
  | "lost"
  | "corrupt";

/** Units that are words; symbols are the same in every language. */
export type KnownUnit = "box heights" | "box heights per s";

export type KnownAction = "raised" | "updated" | "cleared" | "acknowledged" | "resolved" | "acknowledge" | "resolve" | "lock" | "unlock";

/** As what the centre keeps a file of evidence. */
export type RetentionClass = "clip" | "still" | "plate_crop" | "other" | "dismissed" | "unclaimed" | "case";

export interface Dictionary {
  product: string;
  tagline: string;
  skipToAlerts: string;
  alerts: string;
  cameras: string;
  views: string;
  language: string;
  theme: string;
  themes: Record<"auto" | "dark" | "light", string>;
  timeZone: string;
  timeZoneHere: string;
  timeZoneBrowser: string;
  settings: string;
  close: string;
  yes: string;
  no: string;
  none: string;
  simulated: string;
  /** In both languages at once, for the banner that nobody may overlook. */
  simulatedWarning: string;

  live: string;
  connecting: string;
  reconnecting: string;
  staleSince: (time: string) => string;
  neverHeard: string;
  offline: string;
  tryNow: string;
  connectionHint: string;

  unseen: (count: number) => string;
  unseenAnnouncement: (count: number, title: string) => string;
  camerasBlind: (count: number) => string;

  filters: string;
  filterAll: string;
  filterKind: string;
  filterCamera: string;
  filterState: string;
  filterSeverity: string;
  hideSimulated: string;
  clearFilters: string;
  shown: (count: number, hasMore: boolean) => string;
  loadMore: string;
  loadingMore: string;
  endOfList: string;
  listCapped: (count: number) => string;
  loading: string;
  noAlerts: string;
  noAlertsHint: string;
  noMatches: string;
  noMatchesHint: string;
  listFailed: string;
  retry: string;
  chooseAlert: string;
  chooseAlertHint: string;

  severities: Record<Severity, string>;
  states: Record<AlertState, string>;
  machine: Record<MachineState, string>;
  kinds: Record<KnownKind, string>;
  facts: Record<KnownFact, string>;
  words: Record<KnownWord, string>;
  units: Record<KnownUnit, string>;
  noStill: string;
  stillNotYet: string;
  stillBroken: string;
  stillRemoved: string;
  stillNever: string;

  back: string;
  when: string;
  where: string;
  camera: string;
  place: string;
  zone: string;
  box: string;
  rule: string;
  model: string;
  occurred: string;
  decided: string;
  ended: string;
  ongoing: string;
  received: string;
  receivedAfter: (delay: string) => string;
  timeSource: string;
  timeQualities: Record<TimeQuality, string>;
  clockWithin: (error: string) => string;
  clockUnmeasured: string;
  openMap: string;

  still: string;
  stillClean: string;
  stillAnnotated: string;
  stillAlt: (title: string, camera: string) => string;
  zoomIn: string;
  zoomOut: string;
  zoomReset: string;
  zoomHint: string;
  fullScreen: string;

  explanation: string;
  explanationHint: string;
  looks: string;
  looksHint: string;
  /** What a crop shows, for who does not see it. */
  lookAlt: (what: string, score: string) => string;
  lookByDetector: string;
  lookBySecond: string;
  noExplanation: string;
  predicate: string;
  measured: string;
  threshold: string;
  margin: string;
  frames: string;
  frame: (number: string) => string;
  holds: string;
  holdsNot: string;
  comparisons: Record<Comparison, string>;

  factsTitle: string;
  actors: string;
  noActors: string;
  plate: string;
  plateUnread: string;
  plateNotStated: string;
  plateAgreed: (looks: number, of: number) => string;
  plateMayBeCut: string;
  plateSureness: string;
  plateCorrected: (position: number, read: string, taken: string, looks: number) => string;
  track: string;
  confidence: string;
  evidence: string;
  noEvidence: string;
  evidenceRoles: Record<EvidenceRole, string>;
  moments: string;
  momentDecided: string;
  momentBefore: (span: string) => string;
  momentAfter: (span: string) => string;
  clipNotPlayed: string;
  clipLabel: (title: string) => string;
  evidenceNotYet: string;
  evidenceGone: string;
  evidenceLacks: string;
  evidenceNone: string;
  clipUntil: string;
  clipAsked: string;
  removedOn: string;
  retentionClasses: Record<RetentionClass, string>;
  days: string;
  download: string;
  copy: string;
  copied: string;
  captured: string;
  history: string;
  noHistory: string;
  historyActions: Record<KnownAction, string>;
  machineActor: string;
  provenance: string;
  agentVersion: string;
  configuration: string;
  calibration: string;
  modelDigest: string;
  secondModel: string;
  manifestDigest: string;
  eventId: string;
  revision: string;
  notStated: string;

  lockTitle: string;
  lockOn: string;
  lockOff: string;
  lockHint: string;
  lockReason: string;
  unlockReason: string;
  lockReasonMissing: string;
  lockEvidence: string;
  unlockEvidence: string;
  evidenceStream: string;
  decide: string;
  yourName: string;
  yourNameHint: string;
  nameMissing: string;
  note: string;
  noteOptional: string;
  acknowledge: string;
  resolve: string;
  reason: string;
  chooseReason: string;
  reasonMissing: string;
  reasons: Record<ResolveReason, string>;
  working: string;
  acknowledgeFirst: string;
  alreadyResolved: string;
  decisionFailed: string;
  decisionConflict: string;
  detailFailed: string;
  notFound: string;
  notFoundHint: string;

  problemUnreachable: string;
  problemUnreadable: (status: number) => string;
  problemRefused: (status: number) => string;
  screenFailed: string;
  reloadPage: string;

  cameraCount: (watching: number, all: number) => string;
  watches: Record<Watch, string>;
  silentBoxOffline: string;
  silentOldNews: (time: string) => string;
  noCameras: string;
  noCamerasHint: string;
  camerasFailed: string;
  since: string;
  lastSeen: string;
  fps: string;
  receivedFrames: string;
  dropped: string;
  retries: string;
  boxes: string;
  boxOnline: string;
  boxOffline: string;
  boxUnknown: string;
  outboxWaiting: (count: number) => string;
  version: string;
  alertsOfCamera: string;

  overview: string;
  camerasNeedingHelp: string;
  allCamerasWatch: string;

  shortcuts: string;
  shortcutNext: string;
  shortcutPrevious: string;
  shortcutAcknowledge: string;
  shortcutResolve: string;
  shortcutStill: string;
  shortcutNewest: string;
  shortcutCameras: string;
  shortcutClose: string;
  shortcutHelp: string;
}
