/**
 * The live list of alerts as a value: pages from the centre, news from the
 * stream and the operator's own actions go in, the list to show comes out.
 *
 * Pure, so that the races (news during loading, a page overlapping with news,
 * an answer overtaken by a newer change) are tested without a browser. Of two
 * versions of an alert the one with the higher change number wins; a whole
 * reload wins over everything older than its question, so a centre that was
 * set up anew does not leave ghosts.
 */

import type { AlertPage, AlertState, AlertSummary } from "../api/types.ts";
import type { Problem } from "../api/problem.ts";
import { matches, type Filter } from "./filter.ts";

/** More rows than this are not kept; by then a filter serves the operator better than scrolling. */
export const MOST_ROWS = 2_000;

export interface Feed {
  filter: Filter;
  /** Newest first, no two with the same id. */
  items: readonly AlertSummary[];
  /** Cursor of the next older page; null when there is none. */
  next: string | null;
  phase: "loading" | "ready" | "failed";
  problem: Problem | null;
  isLoadingMore: boolean;
  /** News that came while a first page was on its way. */
  news: readonly AlertSummary[];
  /** Arrived live and not looked at yet. */
  unseen: ReadonlySet<string>;
  /** What the operator just decided, before the centre has agreed. */
  pending: ReadonlyMap<string, AlertState>;
  /** Kept in the list though it no longer matches the filter: the operator is reading it. */
  open: string | null;
  /** Change number of the newest version of the open alert that was heard of; 0 for none. */
  openChange: number;
}

export type FeedAction =
  | { type: "reload"; filter: Filter }
  | { type: "loaded"; page: AlertPage }
  | { type: "failed"; problem: Problem }
  | { type: "more" }
  | { type: "moreLoaded"; page: AlertPage }
  | { type: "moreFailed"; problem: Problem }
  | { type: "news"; alerts: readonly AlertSummary[] }
  | { type: "deciding"; id: string; state: AlertState }
  | { type: "settled"; id: string; alert: AlertSummary | null }
  | { type: "opened"; id: string | null }
  | { type: "seen" };

export function emptyFeed(filter: Filter): Feed {
  return {
    filter,
    items: [],
    next: null,
    phase: "loading",
    problem: null,
    isLoadingMore: false,
    news: [],
    unseen: new Set(),
    pending: new Map(),
    open: null,
    openChange: 0,
  };
}

/** Newest first, then by id, as the centre sorts. */
export function newestFirst(a: AlertSummary, b: AlertSummary): number {
  if (a.occurred_at !== b.occurred_at) return a.occurred_at > b.occurred_at ? -1 : 1;
  return a.id === b.id ? 0 : a.id > b.id ? -1 : 1;
}

/** Both lists as one; of two versions the newer. */
function merged(some: readonly AlertSummary[], others: readonly AlertSummary[]): AlertSummary[] {
  const byId = new Map(some.map((alert) => [alert.id, alert]));
  for (const alert of others) {
    const known = byId.get(alert.id);
    if (known === undefined || known.change <= alert.change) byId.set(alert.id, alert);
  }
  return [...byId.values()].sort(newestFirst);
}

/** The rows within what has been loaded: older ones would leave a hole that looks like silence. */
function within(feed: Feed, items: AlertSummary[], loaded: readonly AlertSummary[]): AlertSummary[] {
  const oldest = loaded.at(-1);
  const reach = feed.next === null || oldest === undefined
    ? items
    : items.filter((alert) => newestFirst(alert, oldest) <= 0);
  return reach.filter((alert) => matches(feed.filter, alert) || alert.id === feed.open);
}

/** Cuts the oldest rows beyond the most that are kept; they are not asked for again. */
function capped(feed: Feed): Feed {
  return feed.items.length <= MOST_ROWS ? feed : { ...feed, items: feed.items.slice(0, MOST_ROWS), next: null };
}

function without<K, V>(map: ReadonlyMap<K, V>, key: K): ReadonlyMap<K, V> {
  if (!map.has(key)) return map;
  const rest = new Map(map);
  rest.delete(key);
  return rest;
}

function withNews(feed: Feed, alerts: readonly AlertSummary[]): Feed {
  const known = new Set(feed.items.map((alert) => alert.id));
  const items = within(feed, merged(feed.items, alerts), feed.items);
  const shown = new Map(items.map((alert) => [alert.id, alert]));
  const unseen = new Set<string>();
  for (const id of feed.unseen) {
    // Somebody else took it: no longer this operator's surprise.
    if (shown.get(id)?.state === "new") unseen.add(id);
  }
  for (const { id } of alerts) {
    if (!known.has(id) && id !== feed.open && shown.get(id)?.state === "new") unseen.add(id);
  }
  const ofOpen = alerts.filter((alert) => alert.id === feed.open).map((alert) => alert.change);
  return capped({ ...feed, items, unseen, openChange: Math.max(feed.openChange, ...ofOpen) });
}

export function feedAfter(feed: Feed, action: FeedAction): Feed {
  switch (action.type) {
    case "reload":
      // The old rows stay on the screen until the new ones are there, but for
      // those that the new filter excludes: they would be a false answer.
      return {
        ...feed,
        filter: action.filter,
        items: feed.items.filter((alert) => matches(action.filter, alert) || alert.id === feed.open),
        phase: "loading",
        problem: null,
        isLoadingMore: false,
        news: [],
      };
    case "loaded": {
      const ids = new Set(action.page.items.map((alert) => alert.id));
      const loaded: Feed = {
        ...feed,
        items: [...action.page.items].sort(newestFirst),
        next: action.page.next,
        phase: "ready",
        problem: null,
        news: [],
        unseen: new Set([...feed.unseen].filter((id) => ids.has(id))),
      };
      return withNews(loaded, [...feed.items.filter((alert) => alert.id === feed.open), ...feed.news]);
    }
    case "failed":
      return { ...feed, phase: "failed", problem: action.problem };
    case "more":
      return feed.next === null ? feed : { ...feed, isLoadingMore: true, problem: null };
    case "moreLoaded": {
      if (!feed.isLoadingMore) return feed; // the filter changed meanwhile
      const items = merged(feed.items, action.page.items);
      return capped({ ...feed, items, next: action.page.next, isLoadingMore: false });
    }
    case "moreFailed":
      return feed.isLoadingMore ? { ...feed, isLoadingMore: false, problem: action.problem } : feed;
    case "news": {
      const news = feed.phase === "loading" ? [...feed.news, ...action.alerts] : feed.news;
      return withNews({ ...feed, news }, action.alerts);
    }
    case "deciding":
      return { ...feed, pending: new Map(feed.pending).set(action.id, action.state) };
    case "settled": {
      const settled = { ...feed, pending: without(feed.pending, action.id) };
      return action.alert === null ? settled : withNews(settled, [action.alert]);
    }
    case "opened": {
      const unseen = new Set(feed.unseen);
      if (action.id !== null) unseen.delete(action.id);
      const opened = { ...feed, unseen, open: action.id, openChange: action.id === feed.open ? feed.openChange : 0 };
      return { ...opened, items: within(opened, [...feed.items], feed.items) };
    }
    case "seen":
      return { ...feed, unseen: new Set() };
  }
}

/** The state to show: what was decided here goes before what the centre last said. */
export function shownState(feed: Feed, alert: AlertSummary): AlertState {
  return feed.pending.get(alert.id) ?? alert.state;
}

/** The alert `step` rows from the open one; from nowhere, the first or the last. */
export function neighbour(items: readonly AlertSummary[], open: string | null, step: 1 | -1): string | null {
  const at = items.findIndex((alert) => alert.id === open);
  const target = at === -1 ? (step === 1 ? 0 : items.length - 1) : at + step;
  return items[target]?.id ?? null;
}
