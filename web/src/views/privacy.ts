// How locatable is my photo? What its metadata gives away, what its pixels give away, and a copy without metadata.
import { h, icon } from "../dom";
import { save } from "../exports";
import { area, bytes, coordinates, shareOfLand } from "../format";
import { areaOf } from "../map/globe";
import type { Metadata } from "../pictures/metadata";
import { cleanName } from "../pictures/open";
import type { Answer, Level, Subject } from "../types";
import { sentence } from "./verdict";

interface Finding {
  grade: "good" | "fair" | "bad" | "unknown";
  finding: string;
}

const GIVEN_AWAY: Record<Level, Finding> = {
  street: { grade: "bad", finding: "It points to a street." },
  city: { grade: "bad", finding: "It points to a city." },
  region: { grade: "fair", finding: "It points to a region." },
  country: { grade: "fair", finding: "It points to a country." },
  continent: { grade: "good", finding: "It points to a continent at most." },
};

export function privacyReport(subject: Subject, answer: Answer, caution?: string | null): HTMLElement[] {
  return [
    ...(subject.kind === "picture" ? [metadataCard(subject)] : []),
    pixelsCard(subject, answer, caution),
    ...(subject.kind === "picture" ? [copyCard(subject)] : []),
  ];
}

function metadataCard({ metadata }: Subject): HTMLElement {
  const rows = metadata ? details(metadata) : [];
  const position = metadata?.latitude !== undefined;
  const finding = position
    ? "The file tells exactly where it was taken, to anyone who has it."
    : rows.length > 0
      ? "The file carries no position, but other traces."
      : "The file says nothing about where it was taken.";
  return card("What the metadata gives away", position ? "bad" : rows.length > 0 ? "fair" : "good", finding, rows);
}

function details(metadata: Metadata): [string, string][] {
  const { latitude, longitude, altitude, taken, camera, lens, serial, artist, software, blocks } = metadata;
  const height = altitude !== undefined ? `, ${Math.round(altitude)} m up` : "";
  const rows: [string, string | undefined][] = [
    [
      "Position",
      latitude !== undefined && longitude !== undefined ? coordinates(latitude, longitude, 5) + height : undefined,
    ],
    ["Taken", taken?.replace(/^(\d{4}):(\d\d):/, "$1-$2-")],
    ["Camera", camera],
    ["Lens", lens],
    ["Serial number", serial],
    ["Artist", artist],
    ["Software", software],
    ["Blocks", blocks.join(", ") || undefined],
  ];
  return rows.filter((row): row is [string, string] => row[1] !== undefined);
}

function pixelsCard(subject: Subject, answer: Answer, caution?: string | null): HTMLElement {
  const level = answer.verdict?.level ?? null;
  const region = areaOf(answer, 0.9);
  const rows: [string, string][] = [["In words", sentence(answer)]];
  if (region) rows.push(["90 % region", `${area(region.area_km2)}, ${shareOfLand(region.area_km2)}`]);
  // A continent is no more than a guess of a model that may not know such photos at all.
  const judged = level && !(level === "continent" && caution && subject.kind === "picture");
  const { grade, finding } = judged ? GIVEN_AWAY[level] : unknown(subject, answer, caution);
  const what = subject.kind === "words" ? "What the words give away" : "What the pixels give away";
  const element = card(what, grade, finding, rows);
  element.append(
    h(
      "p",
      { class: "hint" },
      `This is what the model ${answer.model} sees. People who know the place, signs, and larger models see more: a vague answer here is no promise.`,
    ),
  );
  return element;
}

/** No place found is no good news. Only models of views from above have a caution. */
function unknown({ kind }: Subject, { model }: Answer, caution?: string | null): Finding {
  const fault = kind === "picture" && caution ? "cannot judge photos taken on the ground" : "found no likely place";
  const what = kind === "picture" ? "photo" : "description";
  const finding = `The ${model} model ${fault}. This says nothing about how locatable your ${what} is.`;
  return { grade: "unknown", finding };
}

function copyCard(subject: Subject): HTMLElement {
  const { sent, original, removed } = subject;
  if (!sent || sent === original)
    return card(
      "A copy without metadata",
      "fair",
      "It cannot be made in this browser: save the picture as JPEG or PNG first.",
      [],
    );
  const name = cleanName(subject.name, sent);
  const saved = (original?.size ?? 0) - sent.size;
  const finding = removed?.length
    ? `Without ${list(removed)}${saved > 0 ? ` (${bytes(saved)})` : ""}; the pixels are the same.`
    : "The file has no metadata; the copy is the same.";
  const redrawn = removed?.includes("everything but the pixels");
  const element = card(
    "A copy without metadata",
    "good",
    redrawn ? "Drawn again as JPEG, with only the pixels." : finding,
    [],
  );
  element.append(
    h(
      "button",
      { type: "button", class: "button primary", click: () => save(sent, name) },
      icon("download"),
      "Download the copy",
    ),
  );
  return element;
}

function card(title: string, grade: Finding["grade"], finding: string, rows: [string, string][]): HTMLElement {
  return h(
    "section",
    { class: `card report ${grade}` },
    h("h2", { class: "small-title" }, title),
    h("p", { class: "finding" }, finding),
    rows.length > 0 && h("dl", {}, ...rows.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value)))),
  );
}

function list(items: string[]): string {
  return items.length < 2 ? (items[0] ?? "") : `${items.slice(0, -1).join(", ")} and ${items.at(-1)}`;
}
