// Runs every src/**/*.test.ts: bundled by esbuild, run by Node's own test
// runner, so that the tests need nothing that the build does not need.

import { build } from "esbuild";
import { spawnSync } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));

async function testsIn(folder) {
  const entries = await readdir(folder, { withFileTypes: true });
  const found = await Promise.all(
    entries.map((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return testsIn(path);
      return entry.name.endsWith(".test.ts") ? [path] : [];
    }),
  );
  return found.flat().sort();
}

const tests = await testsIn(join(root, "src"));
if (tests.length === 0) throw new Error("no src/**/*.test.ts was found");
// Inside the project, so that the bundles find its packages.
const out = await mkdtemp(join(root, "node_modules", ".unit-"));
let status = 1;
try {
  await build({
    absWorkingDir: root,
    entryPoints: tests.map((test) => relative(root, test)),
    outdir: out,
    outbase: "src",
    outExtension: { ".js": ".mjs" },
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    target: "node18",
    jsx: "automatic",
    sourcemap: "inline",
    logLevel: "warning",
  });
  const bundles = tests.map((test) => join(out, relative(join(root, "src"), test).replace(/\.ts$/, ".mjs")));
  status = spawnSync(process.execPath, ["--enable-source-maps", "--test", "--test-reporter=spec", ...bundles], { stdio: "inherit" }).status ?? 1;
} finally {
  await rm(out, { recursive: true, force: true });
}
process.exit(status);
