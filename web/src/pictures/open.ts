// A chosen file as a subject: its metadata read, and a copy without it, which is all that is ever sent.
import type { Subject } from "../types";
import { findExif, part } from "./blocks";
import { readMetadata } from "./metadata";

const LONGEST_NAME = 60;
let count = 0;

export async function openPicture(file: Blob, name: string): Promise<Subject> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const subject: Subject = { id: ++count, name: shorten(name), kind: "picture", status: "waiting", original: file };
  const parted = part(bytes);
  if (parted) {
    const metadata = readMetadata(parted.removed);
    const sent = parted.join(metadata.orientation);
    const removed = [...new Set(parted.removed.map((block) => block.what))];
    return { ...subject, metadata, removed, sent, preview: URL.createObjectURL(sent) };
  }
  const metadata = readMetadata(findExif(bytes));
  const redrawn = await redraw(file);
  if (!redrawn) {
    return { ...subject, metadata, status: "failed", needsConsent: true };
  }
  return {
    ...subject,
    metadata,
    removed: ["everything but the pixels"],
    sent: redrawn,
    preview: URL.createObjectURL(redrawn),
  };
}

export function words(text: string): Subject {
  return { id: ++count, name: text, kind: "words", status: "waiting" };
}

/** The name of the copy without metadata. */
export function cleanName(name: string, blob: Blob): string {
  const stem = name.replace(/\.[^.]*$/, "") || "photo";
  return `${stem}-without-metadata.${blob.type.split("/")[1]?.replace("jpeg", "jpg") ?? "jpg"}`;
}

/** Formats whose blocks are not known here, drawn anew; null where the browser cannot open them. */
async function redraw(file: Blob): Promise<Blob | null> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    return null;
  }
  const canvas = document.createElement("canvas");
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
  bitmap.close();
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", 0.95));
}

function shorten(name: string): string {
  return name.length > LONGEST_NAME ? `${name.slice(0, LONGEST_NAME - 1)}…` : name;
}
