// How sure the answer is: the first place, how precise it is, the areas that hold most of the probability.
import { h } from "../dom";
import { about, area, coordinates, percent } from "../format";
import type { Answer, Candidate, Level } from "../types";

const STEPS: Level[] = ["continent", "country", "region", "city", "street"]; // of precision
const DOUBTFUL = 0.05; // share of a region below which the picture is probably not in it

/** The first place, unless nothing points to it more than to the rest of the world. */
export function headline(answer: Answer): string {
  const best = answer.predictions[0];
  if (answer.abstained || !best || answer.verdict?.level === null) return "Location unknown";
  const name = placeName(best);
  return name.charAt(0).toUpperCase() + name.slice(1);
}

export function sentence(answer: Answer): string {
  if (answer.advice && answer.predictions.length === 0) return answer.advice;
  const text = answer.verdict?.sentence.replace(/^Location unknown: /, "") ?? "";
  return text && `${text.charAt(0).toUpperCase()}${text.slice(1)}${/[.!]$/.test(text) ? "" : "."}`;
}

export function verdict(answer: Answer): HTMLElement {
  const level = answer.verdict?.level ?? null;
  const reached = level ? STEPS.indexOf(level) : -1;
  const steps = STEPS.map((step, i) =>
    h("li", { class: i <= reached ? "reached" : "", "aria-current": i === reached && "true" }, step),
  );
  const areas = (answer.credible ?? []).map(({ mass, area_km2 }) =>
    h(
      "div",
      {},
      h(
        "dt",
        {},
        h("span", { class: mass > 0.7 ? "stroke dashed" : "stroke", "aria-hidden": "true" }),
        `${Math.round(mass * 100)} % region`,
      ),
      h("dd", {}, level && !answer.abstained ? area(area_km2) : about(area_km2)),
    ),
  );
  const restricted = restriction(answer);
  return h(
    "section",
    { class: "verdict", "aria-labelledby": "verdict-title" },
    refusal(answer) && h("p", { class: "caution" }, refusal(answer)),
    answer.advice && answer.predictions.length > 0 && h("p", { class: "caution" }, answer.advice),
    restricted && h("p", { class: (answer.region_share ?? 1) < DOUBTFUL ? "caution" : "hint" }, restricted),
    h("div", {}, h("h2", { id: "verdict-title" }, headline(answer)), h("p", { class: "sentence" }, sentence(answer))),
    answer.verdict &&
      h(
        "ol",
        { class: "levels", "aria-label": level ? `As precise as a ${level}` : "Not even as precise as a continent" },
        ...steps,
      ),
    areas.length > 0 && h("dl", { class: "areas" }, ...areas),
  );
}

/** Why the answer is not to be relied on, where less confidence than was asked for is left; "" otherwise. */
export function refusal({ warnings = [] }: Answer): string {
  return warnings.find(({ kind }) => kind === "abstained")?.text ?? "";
}

/** What the region holds when nothing is ruled out, as within a region some place is always best; "" without a region. */
export function restriction({ region_share: share }: Answer): string {
  if (share === undefined) return "";
  const held = percent(share).replace("<", "less than").replace(">", "more than");
  const doubt = share < DOUBTFUL ? " The picture was probably taken elsewhere." : "";
  return `Without this restriction, the model gives this region ${held}.${doubt}`;
}

export function placeName(candidate: Candidate): string {
  return candidate.place?.text ?? coordinates(candidate.latitude, candidate.longitude, 1);
}
