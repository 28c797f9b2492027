import assert from "node:assert/strict";
import { test } from "node:test";
import { problemText } from "../ui/notices.tsx";
import { en } from "../i18n/en.ts";
import { ProblemError, problemFrom, problemOf } from "./problem.ts";

test("the centre's own words are kept", () => {
  const body = JSON.stringify({ type: "urn:x", title: "wrong state", status: 409, detail: "the alert is resolved" });
  const problem = problemFrom(409, body);
  assert.deepEqual(problem, { cause: "refused", status: 409, title: "wrong state", detail: "the alert is resolved" });
  assert.equal(problemText(problem, en), "The centre refused (HTTP 409) – wrong state: the alert is resolved");
});

test("a proxy's page or an empty answer is told apart from a refusal", () => {
  for (const body of ["<html>502</html>", "", "null", "[]", "{}", '{"title":3}']) {
    assert.deepEqual(problemFrom(502, body), { cause: "unreadable", status: 502 }, body);
  }
});

test("anything else that was thrown means the centre was not reached", () => {
  assert.deepEqual(problemOf(new TypeError("failed to fetch")), { cause: "unreachable" });
  assert.deepEqual(problemOf(new ProblemError({ cause: "unreadable", status: 500 })), { cause: "unreadable", status: 500 });
});
