// Bundles our modules and copies the fonts into static/dist. The style sheet is built by Tailwind's own command.
import { copyFile, mkdir } from "node:fs/promises";
import { build } from "esbuild";

const out = "static/dist";
const fonts = {
  "plex-sans.woff2": "@fontsource-variable/ibm-plex-sans/files/ibm-plex-sans-latin-wght-normal.woff2",
  "plex-serif.woff2": "@fontsource/ibm-plex-serif/files/ibm-plex-serif-latin-500-normal.woff2",
};

await mkdir(out, { recursive: true });
await Promise.all([
  build({
    entryPoints: { app: "static/js/app.js", chart: "static/js/chart.js" },
    outdir: out,
    bundle: true,
    minify: true,
    format: "iife",
    target: "es2022",
    legalComments: "inline",
    logLevel: "warning",
  }),
  ...Object.entries(fonts).map(([name, from]) => copyFile(`node_modules/${from}`, `${out}/${name}`)),
]);
