// What the server answers (its contract is /docs), and what the page remembers.
import type { Geometry, MultiPolygon } from "geojson";
import type { Metadata } from "./pictures/metadata";

export interface Place {
  name: string | null;
  admin: string | null;
  country: string | null;
  country_code: string | null;
  distance_km: number | null;
  text: string;
}

export interface Candidate {
  latitude: number;
  longitude: number;
  probability: number;
  place?: Place;
}

export type Level = "street" | "city" | "region" | "country" | "continent";

export interface Verdict {
  level: Level | null;
  radius_km: number | null;
  mass: number;
  sentence: string;
}

export interface CredibleArea {
  mass: number;
  area_km2: number;
  geometry?: MultiPolygon;
}

/** A part of the surface on Mercator's map: grey is the square root of the density, 255 the highest one. */
export interface SurfaceImage {
  url: string;
  south: number;
  west: number;
  east: number;
  north: number;
}

/** The probability as a continuous surface; `most` is its highest density in words. */
export interface Surface {
  most: string;
  images: SurfaceImage[];
}

/** A photo of an index that looks like the picture; ``share`` is its part of what the index adds to the answer. */
export interface Reference {
  index: string;
  id: string;
  similarity: number;
  share: number;
  latitude: number;
  longitude: number;
  taken: string | null;
  author: string | null;
}

export interface Answer {
  path: string | null;
  text?: string;
  model: string;
  warnings?: { kind: "model" | "region" | "abstained"; text: string }[]; // to be read before the answer
  predictions: Candidate[];
  verdict?: Verdict;
  credible?: CredibleArea[];
  region?: string;
  region_share?: number; // what it holds when nothing is ruled out
  in_scope?: boolean; // whether the picture is of the kind that the model locates
  scope?: number; // the probability of that
  advice?: string; // what to do with one that is not
  abstained?: boolean;
  surface?: Surface;
  references?: Reference[];
  error?: string;
}

export interface Model {
  name: string;
  default: boolean;
  pictures: boolean;
  words: boolean;
  caution: string | null;
  places: number;
  prior: string;
}

/** Where the answer is asked to lie: what is sent, what it is called, and its outline where the page knows it. */
export interface Region {
  text: string;
  label: string;
  outline?: Geometry;
}

export type Status = "waiting" | "asking" | "answered" | "failed";

/** One picture or one text that somebody asks about. */
export interface Subject {
  id: number;
  name: string;
  kind: "picture" | "words";
  status: Status;
  preview?: string;
  original?: Blob;
  sent?: Blob;
  metadata?: Metadata;
  removed?: string[];
  answer?: Answer;
  error?: string;
  /** Latitude and longitude of the best place, and the compressed rest of the answer until it is looked at. */
  best?: [number, number];
  packed?: string;
  /** HTTP status of the refusal, 0 where the server could not be reached. */
  refused?: number;
  /** The metadata could not be cut out here: nothing is sent until its owner says so. */
  needsConsent?: boolean;
}

/** What `earthclip locate --map out.html` puts into the page. */
export interface Embedded {
  model: { name: string; caution: string | null };
  answers: (EmbeddedAnswer | PackedAnswer)[];
}

export type EmbeddedAnswer = Answer & { thumbnail?: string };

/** One of many: `packed` is the whole, compressed; the best place is what an overview shows. */
export interface PackedAnswer {
  path: string | null;
  text?: string;
  error?: string;
  best?: [number, number];
  packed: string;
}
