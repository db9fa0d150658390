// The two calls the page makes, both to the server that served it.
import type { Answer, Model, Region, Subject } from "./types";

const TOP_K = 5;
const TRIES = 5;

/** What the server refused, in its own one line; `status` is 0 where it could not be reached. */
export class Refused extends Error {
  constructor(
    message: string,
    readonly status: number,
  ) {
    super(message);
  }
}

let key: string | null = null;

/** Kept in memory only, so that it is gone with the page. */
export function useKey(value: string): void {
  key = value.trim() || null;
}

/** The models of the server: one, or two of which the first answers about the pictures of its kind. */
export async function knownModels(): Promise<Model[]> {
  const { models } = (await call("v1/models", {})) as { models: Model[] };
  if (models.length === 0) throw new Refused("The server has no model.", 0);
  return models;
}

/** Answers one picture, of which only `sent` leaves the page and under no name of its own, or one text. */
export async function locate(subject: Subject, regions: Region[], signal: AbortSignal): Promise<Answer> {
  const form = new FormData();
  if (subject.sent) form.append("photos", subject.sent, "photo");
  else form.append("text", subject.name);
  form.append("top_k", String(TOP_K));
  form.append("surface", "1");
  for (const region of regions) form.append("region", region.text);
  const { answers } = (await call("v1/locate", { method: "POST", body: form, signal })) as { answers: Answer[] };
  const answer = answers[0];
  if (!answer) throw new Refused("The server answered nothing.", 0);
  if (answer.error !== undefined) throw new Refused(answer.error, 200);
  return answer;
}

async function call(path: string, init: RequestInit): Promise<unknown> {
  for (let tried = 1; ; tried++) {
    let response: Response;
    try {
      response = await fetch(path, { ...init, headers: key ? { "X-API-Key": key } : {} });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw new Refused("The server cannot be reached. Is `earthclip serve` still running?", 0);
    }
    const body: unknown = await response.json().catch(() => ({}));
    if (response.ok) return body;
    const busy = response.status === 429 || response.status === 503;
    if (!busy || tried === TRIES) {
      const reason = (body as { error?: string }).error;
      throw new Refused(reason ?? `The server answered ${response.status}.`, response.status);
    }
    await pause(1000 * Math.min(Number(response.headers.get("Retry-After")) || 1, 10), init.signal ?? undefined);
  }
}

function pause(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}
