// Bundles the operator's screen into dist/, which the aggregator embeds.
//
// Every asset but index.html has its content's hash in its name, so the
// aggregator may let browsers keep assets for ever and must revalidate only
// the page. Nothing is fetched at run time from anywhere but the aggregator.

import { context, build } from "esbuild";
import { copyFile, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(fileURLToPath(import.meta.url));
const dist = join(root, "dist");
const watching = process.argv.includes("--watch");

/** Writes index.html with the names that esbuild gave to the assets. */
const page = {
  name: "page",
  setup(bundle) {
    bundle.onEnd(async (result) => {
      if (result.errors.length > 0) return;
      const outputs = Object.entries(result.metafile.outputs);
      const named = (test) => {
        const found = outputs.find(([path, output]) => test(relative(dist, join(root, path)), output));
        if (!found) throw new Error("the bundle lacks an asset that index.html names");
        return relative(dist, join(root, found[0])).replaceAll("\\", "/");
      };
      const script = named((path, output) => path.endsWith(".js") && output.entryPoint === "src/main.tsx");
      const style = named((path) => path.endsWith(".css"));
      const icon = named((path) => basename(path).startsWith("icon-") && path.endsWith(".svg"));
      const template = await readFile(join(root, "src/index.html"), "utf8");
      const html = template
        .replace("{{script}}", `./${script}`)
        .replace("{{style}}", `./${style}`)
        .replace("{{icon}}", `./${icon}`);
      if (html.includes("{{")) throw new Error("src/index.html names an asset that build.mjs does not fill in");
      await writeFile(join(dist, "index.html"), html);
      // The SIL Open Font License asks that its text goes where the font goes.
      await copyFile(
        join(root, "node_modules/@fontsource-variable/inter/LICENSE"),
        join(dist, "assets/inter-font.LICENSE.txt"),
      );
    });
  },
};

const options = {
  absWorkingDir: root,
  entryPoints: ["src/main.tsx", "src/icon.svg"],
  outdir: dist,
  bundle: true,
  format: "esm",
  target: ["chrome123", "firefox125", "safari17.5"], // the first with light-dark(), popovers and AbortSignal.any
  minify: !watching,
  sourcemap: watching ? "inline" : false,
  legalComments: "linked", // the licence texts of what is bundled travel along
  metafile: true,
  jsx: "automatic",
  define: { "process.env.NODE_ENV": watching ? '"development"' : '"production"' },
  loader: { ".woff2": "file", ".svg": "copy" },
  entryNames: "assets/[name]-[hash]",
  assetNames: "assets/[name]-[hash]",
  logLevel: "info",
  plugins: [page],
};

await rm(dist, { recursive: true, force: true });
await mkdir(dist, { recursive: true });
if (watching) {
  await (await context(options)).watch();
} else {
  await build(options);
}
