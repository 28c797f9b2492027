/** A button with a panel that opens below it, by the browser's own popover (light dismiss, Escape, top layer). */

import { useId, useRef, type ReactNode } from "react";

export function Popup({
  label,
  isActive = false,
  className = "",
  ariaLabel,
  children,
}: {
  label: ReactNode;
  isActive?: boolean;
  className?: string;
  ariaLabel?: string;
  children: ReactNode;
}) {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);

  // CSS anchors are not in every browser yet, so the panel is put in place
  // when it opens and closes when the page under it moves.
  const place = () => {
    const [from, to] = [button.current, panel.current];
    if (from === null || to === null) return;
    const edge = from.getBoundingClientRect();
    to.style.top = `${edge.bottom + 6}px`;
    to.style.maxHeight = `${Math.max(160, window.innerHeight - edge.bottom - 20)}px`;
    const width = to.offsetWidth;
    to.style.left = `${Math.max(8, Math.min(edge.left, window.innerWidth - width - 8))}px`;
  };

  return (
    <>
      <button
        ref={button}
        type="button"
        className={`${className}${isActive ? " is-active" : ""}`}
        popoverTarget={id}
        aria-label={ariaLabel}
        title={ariaLabel}
      >
        {label}
      </button>
      {/* Before it shows, so that it does not flash elsewhere; after, when its width is known. */}
      <div ref={panel} id={id} popover="auto" className="popup" onBeforeToggle={place} onToggle={place}>
        {children}
      </div>
    </>
  );
}
