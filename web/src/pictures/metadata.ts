// What a picture's file says about where, when and with what it was taken; read here, in the browser, and never sent.
import type { Block } from "./blocks";
import { type Exif, readTiff } from "./tiff";

export interface Metadata extends Exif {
  /** Kinds of blocks found, in words. */
  blocks: string[];
}

/** Joins what a file's blocks say; the first that names a thing is believed. */
export function readMetadata(blocks: Block[]): Metadata {
  let found: Partial<Exif> = {};
  for (const block of blocks) {
    if (block.tiff) found = { ...readTiff(block.tiff), ...found };
    if (block.xmp) found = { ...readXmp(block.xmp), ...found };
  }
  return { orientation: 1, ...found, blocks: [...new Set(blocks.map((block) => block.what))] };
}

/** A position that an XMP packet repeats or has alone, as "41,53.4N" or in decimal degrees. */
function readXmp(bytes: Uint8Array): Partial<Exif> {
  const packet = new TextDecoder().decode(bytes);
  const [latitude, longitude] = ["GPSLatitude", "GPSLongitude"].map((name) => {
    const match = new RegExp(`exif:${name}(?:="|>)([^"<]+)`).exec(packet)?.[1];
    const parts = match ? /^\s*(-?[\d.]+)(?:,([\d.]+))?(?:,([\d.]+))?\s*([NSEW])?/i.exec(match) : null;
    if (!parts) return undefined;
    const size = Math.abs(Number(parts[1])) + Number(parts[2] ?? 0) / 60 + Number(parts[3] ?? 0) / 3600;
    return /[SW]/i.test(parts[4] ?? "") || parts[1]?.startsWith("-") ? -size : size;
  });
  return latitude !== undefined && longitude !== undefined ? { latitude, longitude } : {};
}
