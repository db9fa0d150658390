// The map's style: everything drawn from data that came with the page. Without a glyph server, MapLibre draws the
// letters itself, in the page's own font.

import type { Feature, FeatureCollection, Position } from "geojson";
import type { ExpressionSpecification, LayerSpecification, StyleSpecification } from "maplibre-gl";
import type { Geography } from "./geography";
import type { Palette } from "./palette";

const NOTHING: FeatureCollection = { type: "FeatureCollection", features: [] };
export const DATA_SOURCES = ["half", "ninety", "region", "draft"] as const;
export const SURFACES = ["surface", "surface-beyond"] as const; // the second is what lies on the other side of 180 degrees
const FONT = ["Inter Variable"];

const SEAS: [string, number, number][] = [
  ["Pacific Ocean", -150, 12],
  ["Pacific Ocean", -120, -30],
  ["Pacific Ocean", 165, 25],
  ["Atlantic Ocean", -42, 30],
  ["Atlantic Ocean", -18, -25],
  ["Indian Ocean", 78, -22],
  ["Southern Ocean", 40, -60],
  ["Southern Ocean", -110, -62],
  ["Arctic Ocean", 0, 84],
];

export function mapStyle(geography: Geography, palette: Palette): StyleSpecification {
  const geojson = (data: FeatureCollection | Feature | Geography["coasts"]) =>
    ({ type: "geojson", data, tolerance: 0.2 }) as const;
  return {
    version: 8,
    projection: { type: "globe" },
    sources: {
      graticule: geojson(graticule()),
      land: geojson({ type: "FeatureCollection", features: geography.countries }),
      lakes: geojson(geography.lakes),
      coasts: geojson(geography.coasts),
      borders: geojson(geography.borders),
      names: geojson(names(geography)),
      seas: geojson(seas()),
      overview: { type: "geojson", data: NOTHING, cluster: true, clusterRadius: 44, clusterMaxZoom: 8 },
      ...Object.fromEntries(
        DATA_SOURCES.map((name) => [name, { type: "geojson", data: NOTHING, tolerance: 0 } as const]),
      ),
    },
    layers: layers(palette),
  };
}

function layers(palette: Palette): LayerSpecification[] {
  const line = (
    id: string,
    color: string,
    width: number | ExpressionSpecification,
    dashes?: number[],
  ): LayerSpecification => ({
    id,
    source: id,
    type: "line",
    paint: { "line-color": color, "line-width": width, ...(dashes ? { "line-dasharray": dashes } : {}) },
    layout: { "line-join": "round", "line-cap": dashes ? "butt" : "round" },
  });
  return [
    { id: "ocean", type: "background", paint: { "background-color": palette.ocean } },
    line("graticule", palette.graticule, 0.6),
    { id: "land", source: "land", type: "fill", paint: { "fill-color": palette.land } },
    { id: "lakes", source: "lakes", type: "fill", paint: { "fill-color": palette.ocean } },
    line("borders", palette.border, ["interpolate", ["linear"], ["zoom"], 1, 0.5, 5, 1]),
    line("coasts", palette.coast, ["interpolate", ["linear"], ["zoom"], 1, 0.5, 5, 1]),
    {
      id: "region-fill",
      source: "region",
      type: "fill",
      paint: { "fill-color": palette.region, "fill-opacity": 0.07 },
    },
    line("region", palette.region, 2),
    { id: "draft-fill", source: "draft", type: "fill", paint: { "fill-color": palette.region, "fill-opacity": 0.16 } },
    line("draft", palette.region, 2, [2, 1.5]),
    line("ninety", palette.outline, 1.6, [3, 2]),
    line("half", palette.outline, 2.2),
    {
      id: "seas",
      source: "seas",
      type: "symbol",
      maxzoom: 5,
      layout: {
        "text-field": ["get", "name"],
        "text-font": FONT,
        "text-size": 12,
        "text-letter-spacing": 0.12,
        "text-max-width": 6,
      },
      paint: { "text-color": palette.seaLabel },
    },
    {
      id: "names",
      source: "names",
      type: "symbol",
      // Only large countries from far away; on a globe too many names are none.
      filter: [">=", ["get", "size"], ["step", ["zoom"], 120, 2, 40, 3, 8, 4, 1, 5, 0]],
      layout: {
        "text-field": ["get", "name"],
        "text-font": FONT,
        "text-size": ["interpolate", ["linear"], ["zoom"], 1, 11, 5, 13],
        "text-max-width": 7,
        "symbol-sort-key": ["-", 0, ["get", "size"]],
      },
      paint: { "text-color": palette.label, "text-halo-color": palette.halo, "text-halo-width": 1.4 },
    },
    {
      id: "overview",
      source: "overview",
      type: "circle",
      paint: {
        "circle-radius": ["step", ["coalesce", ["get", "point_count"], 1], 6, 2, 13, 20, 17, 100, 22],
        "circle-color": palette.outline,
        "circle-stroke-color": palette.halo,
        "circle-stroke-width": 1.5,
      },
    },
    {
      id: "overview-counts",
      source: "overview",
      type: "symbol",
      filter: ["has", "point_count"],
      layout: {
        "text-field": ["get", "point_count_abbreviated"],
        "text-font": FONT,
        "text-size": 12,
        "text-allow-overlap": true,
      },
      paint: { "text-color": palette.halo },
    },
  ];
}

function graticule(): Feature {
  const coordinates: Position[][] = [];
  for (let longitude = -180; longitude < 180; longitude += 30)
    coordinates.push(range(-80, 80, 2).map((y) => [longitude, y]));
  for (let latitude = -60; latitude <= 60; latitude += 30)
    coordinates.push(range(-180, 180, 2).map((x) => [x, latitude]));
  return { type: "Feature", properties: {}, geometry: { type: "MultiLineString", coordinates } };
}

function names(geography: Geography): FeatureCollection {
  return points(geography.countries.map(({ properties: { name, size, at } }) => ({ name, size, at })));
}

function seas(): FeatureCollection {
  return points(SEAS.map(([name, longitude, latitude]) => ({ name, size: 0, at: [longitude, latitude] })));
}

function points(places: { name: string; size: number; at: Position }[]): FeatureCollection {
  return {
    type: "FeatureCollection",
    features: places.map(({ at, ...properties }) => ({
      type: "Feature",
      properties,
      geometry: { type: "Point", coordinates: at },
    })),
  };
}

function range(first: number, last: number, step: number): number[] {
  return Array.from({ length: (last - first) / step + 1 }, (_, i) => first + i * step);
}
