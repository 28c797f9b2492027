/** Single-key shortcuts that keep out of the way of typing and of the browser's own. */

import { useEffect, useRef } from "react";

type Shortcuts = Partial<Record<string, () => void>>;

/** Whether a key meant for the page may be taken here: not while typing, choosing, or under a dialog or menu. */
export function isFree(event: KeyboardEvent): boolean {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return false;
  if (document.querySelector("dialog[open], :popover-open") !== null) return false;
  const target = event.target;
  if (!(target instanceof HTMLElement)) return true;
  return !target.isContentEditable && target.closest("input:not([type=checkbox]), textarea, select") === null;
}

/** Listens while the component is there. The keys are `KeyboardEvent.key` values. */
export function useShortcuts(shortcuts: Shortcuts): void {
  const latest = useRef(shortcuts);
  latest.current = shortcuts;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const act = latest.current[event.key];
      if (act === undefined || !isFree(event)) return;
      event.preventDefault();
      act();
    };
    window.addEventListener("keydown", onKey);
    return () => window.removeEventListener("keydown", onKey);
  }, []);
}
