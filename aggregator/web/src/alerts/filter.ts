/**
 * Which alerts the operator wants to see: in the page's address, in the
 * question to the centre, and held against alerts that arrive live. All three
 * are here so that they cannot disagree.
 */

import {
  ALERT_STATES,
  SEVERITIES,
  type AlertState,
  type AlertSummary,
  type Severity,
} from "../api/types.ts";

export interface Filter {
  /** Empty means all, here and below. */
  kinds: readonly string[];
  cameras: readonly string[];
  states: readonly AlertState[];
  severities: readonly Severity[];
  hideSimulated: boolean;
}

export const NO_FILTER: Filter = { kinds: [], cameras: [], states: [], severities: [], hideSimulated: false };

/** Ids in the protocol have at most 64 characters; longer words in an address are nonsense. */
const WORD = /^[\p{L}\p{N}_.:-]{1,64}$/u;

function wordsOf(parameters: URLSearchParams, key: string): string[] {
  const all = parameters.getAll(key).flatMap((value) => value.split(","));
  return [...new Set(all.filter((word) => WORD.test(word)))].sort();
}

const knownOf = <T extends string>(parameters: URLSearchParams, key: string, known: readonly T[]): T[] => {
  const asked = wordsOf(parameters, key);
  return known.filter((word) => asked.includes(word));
};

/** Reads an address; what it does not understand it leaves out. */
export function filterFrom(parameters: URLSearchParams): Filter {
  return {
    kinds: wordsOf(parameters, "kind"),
    cameras: wordsOf(parameters, "camera"),
    states: knownOf(parameters, "state", ALERT_STATES),
    severities: knownOf(parameters, "severity", SEVERITIES),
    hideSimulated: parameters.get("simulated") === "false",
  };
}

/** Writes the filter into `parameters`, in the words of the REST API. */
export function writeFilter(filter: Filter, parameters: URLSearchParams): void {
  const put = (key: string, words: readonly string[]) => {
    if (words.length > 0) parameters.set(key, words.join(","));
  };
  put("kind", filter.kinds);
  put("camera", filter.cameras);
  put("state", filter.states);
  put("severity", filter.severities);
  if (filter.hideSimulated) parameters.set("simulated", "false");
}

const admits = <T>(wanted: readonly T[], word: T) => wanted.length === 0 || wanted.includes(word);

/** Whether the centre would have listed this alert. */
export function matches(filter: Filter, alert: AlertSummary): boolean {
  return (
    admits(filter.kinds, alert.kind) &&
    admits(filter.cameras, alert.camera) &&
    admits(filter.states, alert.state) &&
    admits(filter.severities, alert.severity) &&
    !(filter.hideSimulated && alert.simulated)
  );
}

export function isFiltering(filter: Filter): boolean {
  return (
    filter.hideSimulated ||
    [filter.kinds, filter.cameras, filter.states, filter.severities].some((words) => words.length > 0)
  );
}

/** Adds the word when it is not there, takes it away when it is. */
export function toggled<T>(words: readonly T[], word: T): T[] {
  return words.includes(word) ? words.filter((other) => other !== word) : [...words, word];
}
