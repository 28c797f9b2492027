/**
 * Why a request failed, in a form that the screen can put in words.
 *
 * The centre answers errors as RFC 9457 problem details; a proxy in between or
 * a broken line does not, and the operator needs to know which of these it was.
 */

export type Problem =
  /** The centre said no, and why. */
  | { cause: "refused"; status: number; title: string; detail: string }
  /** The request did not reach the centre, or its answer did not come back. */
  | { cause: "unreachable" }
  /** Something answered, but not in the contract's words. */
  | { cause: "unreadable"; status: number };

export class ProblemError extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem.cause === "refused" ? `${problem.status} ${problem.title}` : problem.cause);
    this.name = "ProblemError";
    this.problem = problem;
  }
}

/** Reads an error answer; `body` is what it carried, whatever that was. */
export function problemFrom(status: number, body: string): Problem {
  let content: unknown;
  try {
    content = JSON.parse(body);
  } catch {
    return { cause: "unreadable", status };
  }
  if (typeof content !== "object" || content === null) return { cause: "unreadable", status };
  const { title, detail } = content as { title?: unknown; detail?: unknown };
  const said = [title, detail].map((part) => (typeof part === "string" ? part : ""));
  return said[0] === "" && said[1] === ""
    ? { cause: "unreadable", status }
    : { cause: "refused", status, title: said[0] ?? "", detail: said[1] ?? "" };
}

/** The problem inside anything that was thrown. */
export function problemOf(thrown: unknown): Problem {
  return thrown instanceof ProblemError ? thrown.problem : { cause: "unreachable" };
}

export function isAborted(thrown: unknown): boolean {
  return thrown instanceof DOMException && thrown.name === "AbortError";
}
