// The world behind the answers: Natural Earth's countries and lakes, served with the page.
import type { Feature, FeatureCollection, Geometry, MultiLineString, MultiPolygon, Polygon, Position } from "geojson";
import { feature, mesh } from "topojson-client";
import type { GeometryCollection, Topology } from "topojson-specification";
import { embeddedPart } from "../embedded";
import address from "../geography.json?url";
import { unwrapped, unwrappedLine } from "../sphere";

const LONGEST_LINE = 2000;

export interface Country {
  name: string;
  code?: string;
  at: [number, number];
  size: number;
}

interface Stored {
  countries: Topology<{ countries: GeometryCollection<Country> }>;
  lakes: Topology<{ lakes: GeometryCollection }>;
}

export interface Geography {
  lakes: FeatureCollection;
  coasts: MultiLineString;
  borders: MultiLineString;
  /** Land is drawn as them: all of it in one would be more than MapLibre draws of one polygon on a globe. */
  countries: Feature<Polygon | MultiPolygon, Country>[];
}

export async function loadGeography(): Promise<Geography> {
  const embedded = await embeddedPart("earthclip-geography");
  const stored = (embedded ? JSON.parse(embedded) : await (await fetch(address)).json()) as Stored;
  const { countries, lakes } = stored;
  const all = countries.objects.countries;
  const lines = ({ type, coordinates }: MultiLineString): MultiLineString => ({
    type,
    coordinates: coordinates.flatMap((line) => pieces(unwrappedLine(line))),
  });
  const outlines = feature(countries, all).features as Feature<Polygon | MultiPolygon, Country>[];
  return {
    lakes: feature(lakes, lakes.objects.lakes) as FeatureCollection<Geometry>,
    coasts: lines(mesh(countries, all, (a, b) => a === b)),
    borders: lines(mesh(countries, all, (a, b) => a !== b)),
    countries: outlines.map((country) => ({ ...country, geometry: unwrapped(country.geometry) })),
  };
}

/** MapLibre draws 65,535 corners of a line at a time and makes up to ten of each position. */
function pieces(line: Position[]): Position[][] {
  const starts = Array.from({ length: Math.ceil((line.length - 1) / LONGEST_LINE) }, (_, i) => i * LONGEST_LINE);
  return starts.map((start) => line.slice(start, start + LONGEST_LINE + 1));
}
