/** What the screen says when there is nothing to show: loading, nothing, or a failure and what to do. */

import { Component, type ErrorInfo, type ReactNode } from "react";
import type { Problem } from "../api/problem.ts";
import type { Dictionary } from "../i18n/dictionary.ts";
import { useWords } from "../i18n/words.tsx";

export function problemText(problem: Problem, t: Dictionary): string {
  switch (problem.cause) {
    case "unreachable":
      return t.problemUnreachable;
    case "unreadable":
      return t.problemUnreadable(problem.status);
    case "refused": {
      const said = [problem.title, problem.detail].filter((part) => part !== "").join(": ");
      return `${t.problemRefused(problem.status)} – ${said}`;
    }
  }
}

export function Notice({
  title,
  hint,
  tone = "quiet",
  children,
}: {
  title: string;
  hint?: string;
  tone?: "quiet" | "bad";
  children?: ReactNode;
}) {
  return (
    <div className={`notice notice-${tone}`} role={tone === "bad" ? "alert" : "status"}>
      <strong>{title}</strong>
      {hint !== undefined && <p>{hint}</p>}
      {children}
    </div>
  );
}

export function Failure({ title, problem, onRetry }: { title: string; problem: Problem; onRetry: () => void }) {
  const { t } = useWords();
  return (
    <Notice tone="bad" title={title} hint={problemText(problem, t)}>
      <button type="button" onClick={onRetry}>
        {t.retry}
      </button>
    </Notice>
  );
}

/** Catches a fault of the screen itself, so that one broken pane leaves the others standing. */
export class Guard extends Component<{ children: ReactNode; text: string; action: string }, { hasFailed: boolean }> {
  override state = { hasFailed: false };

  static getDerivedStateFromError() {
    return { hasFailed: true };
  }

  override componentDidCatch(error: Error, info: ErrorInfo) {
    console.error(error, info.componentStack);
  }

  override render() {
    if (!this.state.hasFailed) return this.props.children;
    return (
      <Notice tone="bad" title={this.props.text}>
        <button type="button" onClick={() => window.location.reload()}>
          {this.props.action}
        </button>
      </Notice>
    );
  }
}
