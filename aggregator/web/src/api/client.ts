/** The aggregator's REST API, one function per call. Every one rejects with a `ProblemError`. */

import { alertDetail, alertPage, cameraList, kindCounts } from "./decode.ts";
import { heardDate } from "../clock.ts";
import { ProblemError, isAborted, problemFrom } from "./problem.ts";
import type { AlertDetail, AlertPage, BoxStatus, CameraStatus, KindCount, ResolveReason } from "./types.ts";

const API = "/api/v1";
/** A centre that says nothing for this long is treated as out of reach. */
const TIMEOUT_MS = 20_000;

export const STREAM_URL = `${API}/stream`;

async function request(path: string, init: RequestInit): Promise<unknown> {
  const timeout = AbortSignal.timeout(TIMEOUT_MS);
  const signal = init.signal ? AbortSignal.any([init.signal, timeout]) : timeout;
  let status: number;
  let body: string;
  try {
    const answer = await fetch(`${API}${path}`, {
      ...init,
      signal,
      headers: { Accept: "application/json, application/problem+json", ...init.headers },
    });
    status = answer.status;
    heardDate(answer.headers.get("Date"));
    body = await answer.text();
  } catch (thrown) {
    if (isAborted(thrown) && init.signal?.aborted) throw thrown;
    throw new ProblemError({ cause: "unreachable" });
  }
  if (status < 200 || status > 299) throw new ProblemError(problemFrom(status, body));
  try {
    return JSON.parse(body);
  } catch {
    throw new ProblemError({ cause: "unreadable", status });
  }
}

const read = (path: string, signal: AbortSignal) => request(path, { signal });

const write = (path: string, content: object) =>
  request(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(content),
  });

function detailOrThrow(answer: unknown): AlertDetail {
  const detail = alertDetail(answer);
  if (detail === null) throw new ProblemError({ cause: "unreadable", status: 200 });
  return detail;
}

/** A page of alerts, newest first. */
export async function alerts(query: URLSearchParams, signal: AbortSignal): Promise<AlertPage> {
  return alertPage(await read(`/alerts?${query}`, signal));
}

export async function alert(id: string, signal: AbortSignal): Promise<AlertDetail> {
  return detailOrThrow(await read(`/alerts/${encodeURIComponent(id)}`, signal));
}

export async function acknowledge(id: string, actor: string, note: string): Promise<AlertDetail> {
  return detailOrThrow(
    await write(`/alerts/${encodeURIComponent(id)}/acknowledge`, { actor, ...(note === "" ? {} : { note }) }),
  );
}

export async function resolve(id: string, actor: string, reason: ResolveReason, note: string): Promise<AlertDetail> {
  return detailOrThrow(
    await write(`/alerts/${encodeURIComponent(id)}/resolve`, { actor, reason, ...(note === "" ? {} : { note }) }),
  );
}

/** Sets the lock on an alert's evidence, or releases it. */
export async function setLock(id: string, isSet: boolean, actor: string, reason: string): Promise<AlertDetail> {
  return detailOrThrow(await write(`/alerts/${encodeURIComponent(id)}/${isSet ? "lock" : "unlock"}`, { actor, reason }));
}

export async function cameras(signal: AbortSignal): Promise<{ cameras: CameraStatus[]; boxes: BoxStatus[] }> {
  return cameraList(await read("/cameras", signal));
}

export async function kinds(signal: AbortSignal): Promise<KindCount[]> {
  return kindCounts(await read("/kinds", signal));
}
