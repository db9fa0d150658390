// Parts that `earthclip locate --map out.html` puts into the file, where the page of the server fetches them.
import type { Embedded, EmbeddedAnswer } from "./types";

export function embeddedText(id: string): string | null {
  return document.getElementById(id)?.textContent ?? null;
}

/** Answers that came with the page, which then asks nothing; null on the page of a server. */
export function embeddedAnswers(): Embedded | null {
  const text = embeddedText("earthclip-answers");
  return text ? (JSON.parse(text) as Embedded) : null;
}

/** The whole of an answer that is one of many. */
export async function unpack(packed: string): Promise<EmbeddedAnswer> {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return (await new Response(stream).json()) as EmbeddedAnswer;
}
