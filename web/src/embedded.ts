// Parts that `earthclip locate --map out.html` puts into the file, where the page of the server fetches them.
import type { Embedded, EmbeddedAnswer } from "./types";

/** A large part of the page, which stands compressed in the file; null on the page of a server. */
export async function embeddedPart(id: string): Promise<string | null> {
  const packed = document.getElementById(id)?.textContent;
  return packed ? await inflated(packed).text() : null;
}

/** Answers that came with the page, which then asks nothing; null on the page of a server. */
export function embeddedAnswers(): Embedded | null {
  const text = document.getElementById("earthclip-answers")?.textContent;
  return text ? (JSON.parse(text) as Embedded) : null;
}

/** The whole of an answer that is one of many. */
export async function unpack(packed: string): Promise<EmbeddedAnswer> {
  return (await inflated(packed).json()) as EmbeddedAnswer;
}

function inflated(packed: string): Response {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate")));
}
