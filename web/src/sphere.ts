// Distances and outlines on the sphere. Positions of GeoJSON are [longitude, latitude].
import type { MultiLineString, MultiPolygon, Polygon, Position } from "geojson";

const EARTH_RADIUS_KM = 6371.0088;
const RADIANS = Math.PI / 180;

/** Great-circle distance in km, by the haversine formula. */
export function distanceKm(latitude0: number, longitude0: number, latitude1: number, longitude1: number): number {
  const [a, b] = [latitude0 * RADIANS, latitude1 * RADIANS];
  const s =
    Math.sin((b - a) / 2) ** 2 + Math.cos(a) * Math.cos(b) * Math.sin(((longitude1 - longitude0) * RADIANS) / 2) ** 2;
  return 2 * EARTH_RADIUS_KM * Math.asin(Math.min(1, Math.sqrt(s)));
}

/** Into [-180, 180). */
export function wrap(longitude: number): number {
  return ((((longitude + 180) % 360) + 360) % 360) - 180;
}

export function contains(geometry: Polygon | MultiPolygon, latitude: number, longitude: number): boolean {
  const parts = geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
  return parts.some((rings) => {
    let odd = false;
    for (const ring of rings)
      for (const [[x0, y0], [x1, y1]] of segments(ring))
        if (y0 > latitude !== y1 > latitude && longitude < x0 + ((latitude - y0) / (y1 - y0)) * (x1 - x0)) odd = !odd;
    return odd;
  });
}

/** Rings as lines, without the cuts along the antimeridian and the poles that are there for GeoJSON's sake only. */
export function outline(geometry: Polygon | MultiPolygon | MultiLineString): MultiLineString {
  const rings = geometry.type === "MultiPolygon" ? geometry.coordinates.flat() : (geometry.coordinates as Position[][]);
  const lines: Position[][] = [];
  for (const ring of rings) {
    let line: Position[] = [];
    for (const [start, end] of segments(ring)) {
      const seam =
        (Math.abs(start[0]) > 179.99 && start[0] === end[0]) || (Math.abs(start[1]) > 89.9 && Math.abs(end[1]) > 89.9);
      if (seam) {
        if (line.length > 1) lines.push(line);
        line = [];
      } else {
        if (line.length === 0) line.push(start);
        line.push(end);
      }
    }
    if (line.length > 1) lines.push(line);
  }
  return { type: "MultiLineString", coordinates: lines };
}

/** Lines with their corners cut twice (Chaikin's curve), by an eighth of a cell: outlines of cells for the eye. */
export function rounded({ coordinates }: MultiLineString): MultiLineString {
  const cut = (line: Position[]): Position[] => {
    const closed = line.length > 2 && String(line[0]) === String(line.at(-1));
    const points = [...segments(line)].flatMap(([[x0 = 0, y0 = 0], [x1 = 0, y1 = 0]]) => [
      [0.75 * x0 + 0.25 * x1, 0.75 * y0 + 0.25 * y1],
      [0.25 * x0 + 0.75 * x1, 0.25 * y0 + 0.75 * y1],
    ]);
    const [first, last] = closed ? [undefined, points[0]] : [line[0], line.at(-1)];
    return [...(first ? [first] : []), ...points, ...(last ? [last] : [])];
  };
  return { type: "MultiLineString", coordinates: coordinates.map((line) => cut(cut(line))) };
}

/** Rings without jumps at the antimeridian, going on beyond 180; a ring around a pole is closed over it. */
export function unwrapped<G extends Polygon | MultiPolygon>(geometry: G): G {
  const mend = (ring: Position[]): Position[] => {
    const line = unwrappedLine(ring);
    const [first, last] = [line[0], line.at(-1)];
    if (!first || !last || Math.abs((first[0] ?? 0) - (last[0] ?? 0)) < 180) return line;
    const pole = (first[1] ?? 0) < 0 ? -90 : 90;
    return [...line, [last[0] ?? 0, pole], [first[0] ?? 0, pole], first];
  };
  const coordinates =
    geometry.type === "Polygon" ? geometry.coordinates.map(mend) : geometry.coordinates.map((part) => part.map(mend));
  return { ...geometry, coordinates } as G;
}

export function unwrappedLine(line: Position[]): Position[] {
  let before = line[0]?.[0] ?? 0;
  return line.map(([longitude = 0, latitude = 0]) => {
    before += wrap(longitude - before);
    return [before, latitude];
  });
}

export interface Box {
  south: number;
  west: number;
  north: number;
  east: number; // may exceed 180, so that west < east always
}

/** The smallest box around positions that lies around `centre`, in degrees of longitude on from it. */
export function boxAround(positions: Position[], centre: number): Box {
  const latitudes = positions.map((position) => position[1] ?? 0);
  const longitudes = positions.map((position) => centre + wrap((position[0] ?? 0) - centre));
  return {
    south: latitudes.reduce((a, b) => Math.min(a, b), 90),
    north: latitudes.reduce((a, b) => Math.max(a, b), -90),
    west: longitudes.reduce((a, b) => Math.min(a, b), centre + 180),
    east: longitudes.reduce((a, b) => Math.max(a, b), centre - 180),
  };
}

function* segments(ring: Position[]): Generator<[[number, number], [number, number]]> {
  for (let i = 1; i < ring.length; i++) yield [ring[i - 1] as [number, number], ring[i] as [number, number]];
}
