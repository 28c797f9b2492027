/**
 * The live stream: server-sent events that survive a broken line.
 *
 * The browser's own EventSource hides the keep-alive comments, gives up for
 * good on an HTTP error. So the bytes are read by `fetch`, parsed by
 * `eventsource-parser`, and this file keeps only what is particular: resume by
 * Last-Event-ID, back off with jitter, and call a line that says nothing for
 * too long dead.
 */

import { createParser } from "eventsource-parser";

export type Connection =
  /** First attempt. */
  | { phase: "connecting" }
  | { phase: "live" }
  /** `lastHeard`: ms since 1970 when the centre was last heard; null for never. */
  | { phase: "reconnecting"; attempt: number; lastHeard: number | null };

export interface News {
  event: string;
  data: unknown;
}

export interface StreamSettings {
  url: string;
  onNews: (news: News) => void;
  onConnection: (connection: Connection) => void;
  /** Bytes stop for this long: the line is dead even if nobody said so. */
  silentAfterMs?: number;
  firstRetryMs?: number;
  longestRetryMs?: number;
  random?: () => number;
}

export interface Stream {
  /** Skip the wait: the network came back, or the operator looks again. */
  retryNow: () => void;
  close: () => void;
}

/** Wait before attempt `n` (from 1): doubles up to a ceiling, at least half of it, the rest by chance. */
export function retryDelay(attempt: number, first: number, longest: number, random: () => number): number {
  const ceiling = Math.min(longest, first * 2 ** Math.min(attempt - 1, 30));
  return ceiling / 2 + (ceiling / 2) * random();
}

export function openStream(settings: StreamSettings): Stream {
  const { url, onNews, onConnection } = settings;
  const silentAfterMs = settings.silentAfterMs ?? 45_000;
  const firstRetryMs = settings.firstRetryMs ?? 500;
  const longestRetryMs = settings.longestRetryMs ?? 15_000;
  const random = settings.random ?? Math.random;

  let lastEventId: string | null = null;
  let lastHeard: number | null = null;
  let attempt = 0;
  let closed = false;
  let request: AbortController | null = null;
  let wake: (() => void) | null = null;

  const pause = (ms: number) =>
    new Promise<void>((done) => {
      const timer = setTimeout(done, ms);
      wake = () => {
        clearTimeout(timer);
        done();
      };
    });

  const listen = async () => {
    const line = new AbortController();
    request = line;
    let watchdog = setTimeout(() => line.abort(), silentAfterMs);
    const heard = () => {
      lastHeard = Date.now();
      clearTimeout(watchdog);
      watchdog = setTimeout(() => line.abort(), silentAfterMs);
    };
    try {
      const answer = await fetch(url, {
        headers: { Accept: "text/event-stream", ...(lastEventId === null ? {} : { "Last-Event-ID": lastEventId }) },
        cache: "no-store",
        signal: line.signal,
      });
      const type = answer.headers.get("Content-Type") ?? "";
      if (!answer.ok || answer.body === null || !type.startsWith("text/event-stream")) return;
      heard();
      attempt = 0;
      onConnection({ phase: "live" });
      const parser = createParser({
        onEvent: ({ id, event, data }) => {
          if (id !== undefined) lastEventId = id;
          let content: unknown;
          try {
            content = JSON.parse(data);
          } catch {
            return; // not of the contract; its id still counts as seen
          }
          onNews({ event: event ?? "message", data: content });
        },
      });
      const decoder = new TextDecoder();
      const reader = answer.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        heard();
        parser.feed(decoder.decode(value, { stream: true }));
      }
    } catch {
      // A refused, cut or silent line: the loop below says so and tries again.
    } finally {
      clearTimeout(watchdog);
      line.abort();
    }
  };

  const run = async () => {
    onConnection({ phase: "connecting" });
    for (;;) {
      await listen();
      if (closed) return;
      attempt += 1;
      onConnection({ phase: "reconnecting", attempt, lastHeard });
      await pause(retryDelay(attempt, firstRetryMs, longestRetryMs, random));
      if (closed) return;
    }
  };
  void run();

  return {
    retryNow: () => wake?.(),
    close: () => {
      closed = true;
      request?.abort();
      wake?.();
    },
  };
}
