// JPEG, PNG and WebP taken apart into blocks, and put together again without those that are not the picture.
// The pixels stay bit for bit what they were: the server sees what `earthclip locate` would see.
import { orientationTiff } from "./tiff";

export interface Block {
  /** What it is, in words. */
  what: string;
  size: number;
  tiff?: Uint8Array;
  xmp?: Uint8Array;
}

export interface Parted {
  type: string;
  /** The parts that are the picture, in order. */
  kept: Uint8Array[];
  /** Everything else. */
  removed: Block[];
  /** The whole file again from its kept parts, turned as `orientation` says. */
  join: (orientation: number) => Blob;
}

/** Null for files that are none of the three, or are damaged where their blocks are. */
export function part(bytes: Uint8Array): Parted | null {
  try {
    if (bytes[0] === 0xff && bytes[1] === 0xd8) return partJpeg(bytes);
    if (ascii(bytes, 1, 4) === "PNG") return partPng(bytes);
    if (ascii(bytes, 0, 4) === "RIFF" && ascii(bytes, 8, 12) === "WEBP") return partWebp(bytes);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
  }
  return null;
}

/** An EXIF block anywhere in a file, as HEIC and AVIF have it in a box of their own. */
export function findExif(bytes: Uint8Array): Block[] {
  for (let i = 0; i + 14 < bytes.length; i++)
    if (
      bytes[i] === 0x45 &&
      ascii(bytes, i, i + 6) === "Exif\0\0" &&
      /^(II\*\0|MM\0\*)$/.test(ascii(bytes, i + 6, i + 10))
    )
      return [{ what: "EXIF", size: 0, tiff: bytes.subarray(i + 6) }];
  return [];
}

function partJpeg(bytes: Uint8Array): Parted {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kept: Uint8Array[] = [];
  const removed: Block[] = [];
  let at = 2;
  for (;;) {
    while (view.getUint8(at) === 0xff && view.getUint8(at + 1) === 0xff) at++; // padding
    if (view.getUint8(at) !== 0xff) throw new RangeError("no marker");
    const marker = view.getUint8(at + 1);
    if (marker === 0xd9) break;
    const end = at + 2 + view.getUint16(at + 2);
    if (end > bytes.length) throw new RangeError("segment past the end");
    const block = jpegBlock(marker, bytes.subarray(at + 4, end));
    if (block) removed.push(block);
    else kept.push(bytes.subarray(at, end));
    at = end;
    if (marker !== 0xda) continue;
    // Scan data: 0xff is followed by 0 or a restart marker until the next segment.
    const start = at;
    while (!(view.getUint8(at) === 0xff && !isScan(view.getUint8(at + 1)))) at++;
    kept.push(bytes.subarray(start, at));
  }
  if (at + 2 < bytes.length) removed.push({ what: "data after the picture", size: bytes.length - at - 2 });
  return {
    type: "image/jpeg",
    kept,
    removed,
    join: (orientation) => {
      const exif = Uint8Array.of(0xff, 0xe1, 0, 34, ...latin("Exif\0\0"), ...orientationTiff(orientation));
      return blob("image/jpeg", [
        Uint8Array.of(0xff, 0xd8),
        ...(orientation > 1 ? [exif] : []),
        ...kept,
        Uint8Array.of(0xff, 0xd9),
      ]);
    },
  };
}

/** The segment as a block to remove; null where it is needed to draw the picture as it was meant. */
function jpegBlock(marker: number, content: Uint8Array): Block | null {
  const head = ascii(content, 0, 32);
  const size = content.length + 4;
  if (marker === 0xfe) return { what: "comment", size };
  if (marker < 0xe0 || marker > 0xef || (marker === 0xe0 && head.startsWith("JFIF\0"))) return null;
  if ((marker === 0xe2 && head.startsWith("ICC_PROFILE\0")) || (marker === 0xee && head.startsWith("Adobe")))
    return null;
  if (head.startsWith("Exif\0")) return { what: "EXIF", size, tiff: content.subarray(6) };
  if (head.startsWith("http://ns.adobe.com/x")) return { what: "XMP", size, xmp: content };
  if (marker === 0xed) return { what: "IPTC", size };
  return { what: "maker's data", size };
}

function isScan(byte: number): boolean {
  return byte === 0 || byte === 0xff || (byte >= 0xd0 && byte <= 0xd7);
}

const PNG_KEPT = new Set("IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB iCCP cICP sBIT bKGD pHYs acTL fcTL fdAT".split(" "));

function partPng(bytes: Uint8Array): Parted {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kept: Uint8Array[] = [bytes.subarray(0, 8)];
  const removed: Block[] = [];
  let at = 8;
  for (let name = ""; name !== "IEND"; ) {
    const end = at + 12 + view.getUint32(at);
    name = ascii(bytes, at + 4, at + 8);
    if (end > bytes.length) throw new RangeError("chunk past the end");
    const content = bytes.subarray(at + 8, end - 4);
    if (PNG_KEPT.has(name)) kept.push(bytes.subarray(at, end));
    else if (name === "eXIf") removed.push({ what: "EXIF", size: end - at, tiff: content });
    else if (name === "iTXt" && ascii(content, 0, 17) === "XML:com.adobe.xmp")
      removed.push({ what: "XMP", size: end - at, xmp: content });
    else
      removed.push({ what: name.endsWith("Xt") ? "text" : name === "tIME" ? "time" : "maker's data", size: end - at });
    at = end;
  }
  if (at < bytes.length) removed.push({ what: "data after the picture", size: bytes.length - at });
  return {
    type: "image/png",
    kept,
    removed,
    join: (orientation) => {
      const exif = orientation > 1 ? [pngChunk("eXIf", orientationTiff(orientation))] : [];
      return blob("image/png", [...kept.slice(0, 2), ...exif, ...kept.slice(2)]); // after the signature and IHDR
    },
  };
}

function pngChunk(name: string, content: Uint8Array): Uint8Array {
  const chunk = new Uint8Array(12 + content.length);
  const view = new DataView(chunk.buffer);
  view.setUint32(0, content.length);
  chunk.set(latin(name), 4);
  chunk.set(content, 8);
  let crc = -1;
  for (const byte of chunk.subarray(4, 8 + content.length)) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  view.setUint32(8 + content.length, ~crc >>> 0);
  return chunk;
}

const WEBP_KEPT = new Set(["VP8 ", "VP8L", "VP8X", "ALPH", "ANIM", "ANMF", "ICCP"]);
const [WEBP_EXIF, WEBP_XMP] = [0x08, 0x04];

function partWebp(bytes: Uint8Array): Parted {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kept: Uint8Array[] = [];
  const removed: Block[] = [];
  let at = 12;
  const last = Math.min(bytes.length, 8 + view.getUint32(4, true));
  while (at + 8 <= last) {
    const name = ascii(bytes, at, at + 4);
    const length = view.getUint32(at + 4, true);
    const end = at + 8 + length + (length % 2);
    if (at + 8 + length > bytes.length) throw new RangeError("chunk past the end");
    const content = bytes.subarray(at + 8, at + 8 + length);
    const prefix = ascii(content, 0, 6) === "Exif\0\0" ? 6 : 0;
    if (WEBP_KEPT.has(name)) kept.push(bytes.slice(at, end));
    else if (name === "EXIF") removed.push({ what: "EXIF", size: end - at, tiff: content.subarray(prefix) });
    else if (name === "XMP ") removed.push({ what: "XMP", size: end - at, xmp: content });
    else removed.push({ what: "maker's data", size: end - at });
    at = end;
  }
  if (at < bytes.length) removed.push({ what: "data after the picture", size: bytes.length - at });
  return {
    type: "image/webp",
    kept,
    removed,
    join: (orientation) => {
      const extended = kept.find((chunk) => ascii(chunk, 0, 4) === "VP8X");
      const turned = orientation > 1 && extended !== undefined; // a plain WebP has no place for an orientation
      if (extended) extended[8] = ((extended[8] ?? 0) & ~(WEBP_EXIF | WEBP_XMP)) | (turned ? WEBP_EXIF : 0);
      const exif = Uint8Array.of(...latin("EXIF"), 26, 0, 0, 0, ...orientationTiff(orientation));
      const chunks = turned ? [...kept, exif] : kept;
      const head = new Uint8Array(12);
      head.set(latin("RIFF"));
      new DataView(head.buffer).setUint32(4, 4 + chunks.reduce((sum, chunk) => sum + chunk.length, 0), true);
      head.set(latin("WEBP"), 8);
      return blob("image/webp", [head, ...chunks]);
    },
  };
}

function blob(type: string, parts: Uint8Array[]): Blob {
  return new Blob(parts as BlobPart[], { type });
}

function ascii(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, end));
}

function latin(text: string): number[] {
  return Array.from(text, (letter) => letter.charCodeAt(0));
}
