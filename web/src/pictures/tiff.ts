// The few EXIF fields that tell on somebody, read from a TIFF block. Source: EXIF 2.32, TIFF 6.0.
export interface Exif {
  orientation: number;
  camera?: string;
  software?: string;
  artist?: string;
  taken?: string;
  serial?: string;
  lens?: string;
  latitude?: number;
  longitude?: number;
  altitude?: number;
}

type Value = string | number[];
type Directory = Map<number, Value>;

const SIZES = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8];
const MAX_VALUES = 1000;

/** Reads what can be read; damaged directories are left out, as their pictures are still pictures. */
export function readTiff(bytes: Uint8Array): Exif {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const order = bytes.length >= 8 ? String.fromCharCode(bytes[0] ?? 0, bytes[1] ?? 0) : "";
  if (order !== "II" && order !== "MM") return { orientation: 1 };
  const little = order === "II";
  const main = directory(view, view.getUint32(4, little), little);
  const exif = directory(view, number(main, 0x8769), little);
  const gps = directory(view, number(main, 0x8825), little);
  const orientation = number(main, 0x0112) ?? 1;
  const found: Exif = { orientation: orientation >= 1 && orientation <= 8 ? orientation : 1 };
  const camera = [text(main, 0x010f), text(main, 0x0110)].filter(Boolean).join(" ");
  if (camera) found.camera = camera;
  assign(found, "software", text(main, 0x0131));
  assign(found, "artist", text(main, 0x013b));
  assign(found, "taken", text(exif, 0x9003) ?? text(main, 0x0132));
  assign(found, "serial", text(exif, 0xa431));
  assign(found, "lens", text(exif, 0xa434));
  const latitude = degrees(gps.get(2), text(gps, 1), "S");
  const longitude = degrees(gps.get(4), text(gps, 3), "W");
  if (latitude !== undefined && longitude !== undefined && Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180) {
    found.latitude = latitude;
    found.longitude = longitude;
  }
  const altitude = number(gps, 6);
  if (altitude !== undefined && Number.isFinite(altitude)) found.altitude = number(gps, 5) === 1 ? -altitude : altitude;
  return found;
}

/** A TIFF block that holds the orientation and nothing else. */
export function orientationTiff(orientation: number): Uint8Array {
  return Uint8Array.of(
    ...[0x4d, 0x4d, 0, 42, 0, 0, 0, 8],
    ...[0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0],
    ...[0, 0, 0, 0],
  );
}

function directory(view: DataView, offset: number | undefined, little: boolean): Directory {
  const entries: Directory = new Map();
  if (offset === undefined || offset + 2 > view.byteLength) return entries;
  const count = view.getUint16(offset, little);
  for (let i = 0; i < count; i++) {
    const at = offset + 2 + 12 * i;
    if (at + 12 > view.byteLength) break;
    const kind = view.getUint16(at + 2, little);
    const length = view.getUint32(at + 4, little);
    const size = (SIZES[kind] ?? 0) * length;
    const start = size <= 4 ? at + 8 : view.getUint32(at + 8, little);
    if (size === 0 || length > MAX_VALUES || start + size > view.byteLength) continue;
    entries.set(
      view.getUint16(at, little),
      kind === 2 ? string(view, start, length) : numbers(view, start, kind, length, little),
    );
  }
  return entries;
}

function string(view: DataView, start: number, length: number): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + start, length);
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end)).trim();
}

function numbers(view: DataView, start: number, kind: number, length: number, little: boolean): number[] {
  return Array.from({ length }, (_, i) => {
    const at = start + i * (SIZES[kind] ?? 1);
    if (kind === 3) return view.getUint16(at, little);
    if (kind === 4) return view.getUint32(at, little);
    if (kind === 5) return view.getUint32(at, little) / view.getUint32(at + 4, little);
    if (kind === 9) return view.getInt32(at, little);
    if (kind === 10) return view.getInt32(at, little) / view.getInt32(at + 4, little);
    return view.getUint8(at);
  });
}

function number(entries: Directory, tag: number): number | undefined {
  const value = entries.get(tag);
  return Array.isArray(value) ? value[0] : undefined;
}

function text(entries: Directory, tag: number): string | undefined {
  const value = entries.get(tag);
  return typeof value === "string" && value ? value : undefined;
}

/** Degrees, minutes, seconds; 0/0 stands for a part that is not there. */
function degrees(value: Value | undefined, reference: string | undefined, negative: string): number | undefined {
  if (!Array.isArray(value) || !Number.isFinite(value[0])) return undefined;
  const [whole = 0, minutes = 0, seconds = 0] = value.map((part) => (Number.isFinite(part) ? part : 0));
  return (whole + minutes / 60 + seconds / 3600) * (reference?.toUpperCase() === negative ? -1 : 1);
}

function assign<K extends keyof Exif>(found: Exif, name: K, value: Exif[K] | undefined): void {
  if (value !== undefined) found[name] = value;
}
