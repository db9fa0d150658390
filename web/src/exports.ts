// Answers as files for other programs: GeoJSON (RFC 7946) and KML 2.3.
import type { Feature, FeatureCollection, Geometry } from "geojson";
import { percent } from "./format";
import type { Answer, Subject } from "./types";

export function saveGeoJSON(subjects: Subject[]): void {
  const features = subjects.flatMap((subject) => (subject.answer ? toFeatures(subject.name, subject.answer) : []));
  const collection: FeatureCollection<Geometry | null> = { type: "FeatureCollection", features };
  save(new Blob([`${JSON.stringify(collection)}\n`], { type: "application/geo+json" }), "earthclip.geojson");
}

export function saveKML(subjects: Subject[]): void {
  const folders = subjects.flatMap((subject) => (subject.answer ? [folder(subject.name, subject.answer)] : []));
  const text = `<?xml version="1.0" encoding="UTF-8"?>
<kml xmlns="http://www.opengis.net/kml/2.2"><Document><name>EarthCLIP</name>
<Style id="region"><LineStyle><color>ff3f1257</color><width>2</width></LineStyle><PolyStyle><color>333f1257</color></PolyStyle></Style>
${folders.join("\n")}
</Document></kml>
`;
  save(new Blob([text], { type: "application/vnd.google-earth.kml+xml" }), "earthclip.kml");
}

export function save(blob: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function toFeatures(name: string, answer: Answer): Feature<Geometry | null>[] {
  if (answer.predictions.length === 0) {
    const { model, in_scope, scope, advice } = answer;
    return [{ type: "Feature", geometry: null, properties: { name, model, in_scope, scope, advice } }];
  }
  const points = answer.predictions.map(
    ({ latitude, longitude, probability, place }, i): Feature => ({
      type: "Feature",
      geometry: { type: "Point", coordinates: [longitude, latitude] },
      properties: { name, rank: i + 1, probability, place: place?.text, model: answer.model },
    }),
  );
  const regions = (answer.credible ?? []).flatMap(({ mass, area_km2, geometry }): Feature[] =>
    geometry ? [{ type: "Feature", geometry, properties: { name, mass, area_km2, model: answer.model } }] : [],
  );
  return [...points, ...regions];
}

function folder(name: string, answer: Answer): string {
  const points = answer.predictions.map(({ latitude, longitude, probability, place }, i) => {
    const title = `${i + 1}. ${place?.text ?? "place"} (${percent(probability)})`;
    return `<Placemark><name>${escaped(title)}</name><Point><coordinates>${longitude},${latitude}</coordinates></Point></Placemark>`;
  });
  const regions = (answer.credible ?? []).map(({ mass, geometry }) => {
    const polygons = (geometry?.coordinates ?? []).map((rings) => {
      const bounds = rings.map((ring, i) => {
        const kind = i === 0 ? "outerBoundaryIs" : "innerBoundaryIs";
        const coordinates = ring.map((position) => position.join(",")).join(" ");
        return `<${kind}><LinearRing><coordinates>${coordinates}</coordinates></LinearRing></${kind}>`;
      });
      return `<Polygon>${bounds.join("")}</Polygon>`;
    });
    const title = `${Math.round(mass * 100)} % region`;
    return `<Placemark><name>${title}</name><styleUrl>#region</styleUrl><MultiGeometry>${polygons.join("")}</MultiGeometry></Placemark>`;
  });
  const advice = answer.advice ? `<description>${escaped(answer.advice)}</description>\n` : "";
  return `<Folder><name>${escaped(name)}</name>\n${advice}${[...points, ...regions].join("\n")}\n</Folder>`;
}

function escaped(text: string): string {
  const plain = text.replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "?");
  return plain.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
