/**
 * Where in the screen the operator is, as the query of the page's address, so
 * that it can be bookmarked, sent to a colleague and gone back to. A query and
 * not a path: any server that can serve one file can serve the screen.
 */

import { useSyncExternalStore } from "react";
import { filterFrom, writeFilter, type Filter } from "./alerts/filter.ts";

export type View = "alerts" | "cameras";

export interface Route {
  view: View;
  /** The alert that is open. */
  alert: string | null;
  filter: Filter;
}

export function routeFrom(search: string): Route {
  const parameters = new URLSearchParams(search);
  const alert = parameters.get("alert");
  return {
    view: parameters.get("view") === "cameras" ? "cameras" : "alerts",
    alert: alert === null || alert === "" ? null : alert,
    filter: filterFrom(parameters),
  };
}

/** The query of a route, with its question mark; a bare page for the default one. */
export function searchOf(route: Route): string {
  const parameters = new URLSearchParams();
  if (route.view !== "alerts") parameters.set("view", route.view);
  writeFilter(route.filter, parameters);
  if (route.alert !== null) parameters.set("alert", route.alert);
  // A comma needs no escape in a query (RFC 3986 § 3.4) and reads better without.
  const query = parameters.toString().replaceAll("%2C", ",");
  return query === "" ? "?" : `?${query}`;
}

const CHANGED = "ngatu:route";

function subscribe(onChange: () => void): () => void {
  window.addEventListener("popstate", onChange);
  window.addEventListener(CHANGED, onChange);
  return () => {
    window.removeEventListener("popstate", onChange);
    window.removeEventListener(CHANGED, onChange);
  };
}

/** `replace`: do not leave a step for the back button. */
export function go(route: Route, how: "push" | "replace" = "push"): void {
  const search = searchOf(route);
  if (search === (window.location.search || "?")) return;
  if (how === "push") window.history.pushState(null, "", search);
  else window.history.replaceState(null, "", search);
  window.dispatchEvent(new Event(CHANGED));
}

/** The current query; hold it in `useMemo` with `routeFrom`. */
export function useSearch(): string {
  return useSyncExternalStore(subscribe, () => window.location.search);
}
