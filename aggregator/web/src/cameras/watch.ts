/**
 * Is a camera watching, as far as the centre can honestly say?
 *
 * A camera's last word may be "watching" long after its box lost power. So the
 * box's presence and the age of that word count as much as the word itself:
 * silent must be visible.
 */

import { millis } from "../format/time.ts";
import type { BoxStatus, CameraStatus } from "../api/types.ts";

export type Watch =
  | "watching"
  | "degraded"
  | "connecting"
  /** The camera gives no frames; its box says why. */
  | "lost"
  /** Nobody says anything: the box is offline, or its last word is old. */
  | "silent"
  | "stopped"
  | "unknown";

/** Statuses carry ten-second averages and are sent more often than this. */
export const OLD_AFTER_MS = 120_000;

export function watchOf(camera: CameraStatus, box: BoxStatus | undefined, now: number): Watch {
  if (camera.health === "stopped") return "stopped";
  const online = box?.online ?? camera.box_online;
  if (online === false) return "silent";
  const said = millis(camera.heard_at);
  if (said !== null && now - said > OLD_AFTER_MS) return "silent";
  return camera.health;
}

/** Whether somebody must do something before this camera sees again. */
export function isBlind(watch: Watch): boolean {
  return watch === "lost" || watch === "silent" || watch === "unknown";
}

/** Cameras that need somebody first, then by name. */
const URGENCY: Record<Watch, number> = {
  silent: 0,
  lost: 1,
  unknown: 2,
  degraded: 3,
  connecting: 4,
  watching: 5,
  stopped: 6,
};

export interface WatchedCamera {
  status: CameraStatus;
  box: BoxStatus | undefined;
  watch: Watch;
}

/** Key of a box or a camera across sites. */
export const boxKey = (of: { site: string; box: string }) => `${of.site}/${of.box}`;
export const cameraKey = (of: { site: string; box: string; camera: string }) => `${of.site}/${of.box}/${of.camera}`;

export function watched(
  cameras: Iterable<CameraStatus>,
  boxes: ReadonlyMap<string, BoxStatus>,
  now: number,
): WatchedCamera[] {
  return [...cameras]
    .map((status) => {
      const box = boxes.get(boxKey(status));
      return { status, box, watch: watchOf(status, box, now) };
    })
    .sort(
      (a, b) =>
        URGENCY[a.watch] - URGENCY[b.watch] ||
        a.status.name.localeCompare(b.status.name) ||
        cameraKey(a.status).localeCompare(cameraKey(b.status)),
    );
}

/** Share of the received frames that were not looked at, 0 to 1; null before the first. */
export function droppedShare(camera: CameraStatus): number | null {
  return camera.frames_received === 0 ? null : Math.min(1, camera.frames_dropped / camera.frames_received);
}
