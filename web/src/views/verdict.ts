// How sure the answer is: the first place, how precise it is, the areas that hold most of the probability.
import { h } from "../dom";
import { area, coordinates, percent } from "../format";
import type { Answer, Candidate, Level } from "../types";

const STEPS: Level[] = ["continent", "country", "region", "city", "street"]; // of precision

/** The first place, unless nothing points to it more than to the rest of the world. */
export function headline(answer: Answer): string {
  const best = answer.predictions[0];
  if (answer.abstained || !best || answer.verdict?.level === null) return "Nowhere in particular";
  const name = placeName(best);
  return name.charAt(0).toUpperCase() + name.slice(1);
}

export function sentence(answer: Answer): string {
  const text = answer.verdict?.sentence.replace(/^Nowhere in particular: /, "") ?? "";
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
        `${Math.round(mass * 100)} % sure within`,
      ),
      h("dd", {}, area(area_km2)),
    ),
  );
  return h(
    "section",
    { class: "verdict", "aria-labelledby": "verdict-title" },
    h("div", {}, h("h2", { id: "verdict-title" }, headline(answer)), h("p", { class: "sentence" }, sentence(answer))),
    regionShare(answer),
    answer.verdict &&
      h(
        "ol",
        { class: "levels", "aria-label": level ? `As precise as a ${level}` : "Not even as precise as a continent" },
        ...steps,
      ),
    areas.length > 0 && h("dl", { class: "areas" }, ...areas),
  );
}

/** Within a region something is always best: what the region holds when nothing is ruled out tells whether to believe. */
function regionShare({ region_share: share }: Answer): HTMLElement | undefined {
  if (share === undefined) return undefined;
  const doubt = share < 0.05 ? " The picture was probably taken elsewhere." : "";
  return h(
    "p",
    { class: "hint" },
    `Where you said lies ${percent(share)} of the probability, if all the Earth counts.${doubt}`,
  );
}

export function placeName(candidate: Candidate): string {
  return candidate.place?.text ?? coordinates(candidate.latitude, candidate.longitude, 1);
}
