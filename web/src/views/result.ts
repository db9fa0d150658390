// The answer in words: the verdict, the ranked places, the file's own position, downloads.
import type { App } from "../app";
import { byId, h, icon } from "../dom";
import { coordinates, kilometres, percent } from "../format";
import { inArea } from "../map/globe";
import { distanceKm } from "../sphere";
import type { Answer, Subject } from "../types";
import { cautionOf } from "./ask";
import { privacyReport } from "./privacy";
import { headline, placeName, refusal, restriction, sentence, verdict } from "./verdict";

let drawn: unknown[] = [];

/** Draws the result anew if anything it shows has changed, so that focus and screen readers are left alone if not. */
export function renderResult(app: App, choose: (rank: number) => void): void {
  const { selected, privacy, model } = app;
  const now = [selected, selected?.status, selected?.answer, selected?.error, selected?.needsConsent, privacy, model];
  if (now.every((value, i) => value === drawn[i]) && drawn.length > 0) return;
  drawn = now;
  byId("result").replaceChildren(...(selected ? content(app, selected, choose) : app.many ? [overview(app)] : []));
  byId("status").textContent = selected ? announcement(selected) : "";
}

export function renderDownloads(app: App): void {
  const box = byId("downloads");
  box.hidden = app.privacy || !app.subjects.some((subject) => subject.answer ?? subject.packed);
  if (box.childElementCount > 0) return;
  const button = (format: "geojson" | "kml", label: string) =>
    h("button", { type: "button", class: "button small", click: () => void app.save(format) }, icon("download"), label);
  box.append(button("geojson", "GeoJSON"), button("kml", "KML"));
}

/** What many pictures are first seen as: how many there are; the map shows where. */
function overview({ subjects }: App): HTMLElement {
  const located = subjects.filter(({ best }) => best).length;
  const failed = subjects.filter(({ status }) => status === "failed").length;
  const rest = [`${located} on the map, each at its first guess`, failed > 0 && `${failed} failed`].filter(Boolean);
  return h(
    "section",
    { class: "verdict overview" },
    h("h2", {}, `${subjects.length} answers`),
    h("p", { class: "sentence" }, `${rest.join(", ")}. Choose a point on the map or a name in the list.`),
  );
}

/** On a phone, where the answer comes before the question and what stands there. */
function caution({ answering: model }: App, { kind }: Subject): HTMLElement | null {
  if (kind !== "picture" || !model?.caution) return null;
  return h("p", { class: "caution beside-answer" }, cautionOf(model.name, model.caution));
}

function back(app: App): HTMLElement | null {
  if (!app.many) return null;
  return h("button", { type: "button", class: "button small", click: () => app.select(undefined) }, "All answers");
}

function content(app: App, subject: Subject, choose: (rank: number) => void): HTMLElement[] {
  if (subject.needsConsent) return [consent(app, subject)];
  if (subject.status === "failed") return [failure(app, subject)];
  if (!subject.answer) return [back(app), waiting(app.privacy)].filter((part) => part !== null);
  const stale = subject.status !== "answered";
  const parts = app.privacy
    ? privacyReport(subject, subject.answer, app.answering?.caution)
    : [
        back(app),
        caution(app, subject),
        verdict(subject.answer),
        comparison(subject, subject.answer),
        places(subject.answer, choose),
        photos(subject.answer),
      ];
  return [h("div", { class: "parts", "aria-busy": stale && "true" }, ...parts)];
}

/** What was found, in one breath. */
function announcement(subject: Subject): string {
  if (subject.needsConsent) return `${subject.name} was not sent: its metadata cannot be removed in this browser.`;
  if (subject.status === "failed") return `${subject.name} failed: ${subject.error}`;
  if (subject.status !== "answered" || !subject.answer) return `Looking at ${subject.name}.`;
  const { answer } = subject;
  const count = answer.predictions.length > 0 && `${answer.predictions.length} places are listed.`;
  return [refusal(answer), restriction(answer), `${headline(answer)}.`, sentence(answer), count]
    .filter(Boolean)
    .join(" ");
}

function places(answer: Answer, choose: (rank: number) => void): HTMLElement | null {
  if (answer.predictions.length === 0) return null;
  const most = answer.predictions[0]?.probability || 1;
  const items = answer.predictions.map((candidate, i) => {
    const bar = h("span", { class: "meter", "aria-hidden": "true" }, h("span", {}));
    (bar.firstElementChild as HTMLElement).style.setProperty("width", `${(100 * candidate.probability) / most}%`);
    return h(
      "li",
      {},
      h(
        "button",
        { type: "button", "aria-pressed": "false", click: () => choose(i) },
        h("span", { class: "rank", "aria-hidden": "true" }, String(i + 1)),
        h(
          "span",
          { class: "where" },
          h("span", { class: "name" }, placeName(candidate)),
          candidate.place && h("span", { class: "coordinates" }, coordinates(candidate.latitude, candidate.longitude)),
        ),
        h("span", { class: "probability" }, percent(candidate.probability)),
        bar,
      ),
    );
  });
  return h(
    "section",
    { "aria-labelledby": "places-title" },
    h(
      "h2",
      { id: "places-title", class: "small-title" },
      answer.abstained ? "Candidates, none to be trusted" : "Most likely places",
    ),
    h("ol", { class: "places" }, ...items),
  );
}

/** The photos of an index that look most like the picture. */
function photos(answer: Answer): HTMLElement | null {
  if (!answer.references?.length) return null;
  const items = answer.references.map(({ id, similarity, share, latitude, longitude }) => {
    const counted = share > 0 ? `, ${percent(share)} of what the index adds` : ", not similar enough to count";
    const where = `${coordinates(latitude, longitude)}, similarity ${similarity.toFixed(2)}${counted}`;
    return h("li", {}, h("span", { class: "name" }, id), h("span", { class: "coordinates" }, where));
  });
  return h(
    "section",
    { "aria-labelledby": "photos-title" },
    h("h2", { id: "photos-title", class: "small-title" }, "Most similar photos of the index"),
    h("ul", { class: "photos" }, ...items),
  );
}

/** The distance to the position that the file itself carries; both stay in this browser. */
function comparison(subject: Subject, answer: Answer): HTMLElement | null {
  const { latitude, longitude } = subject.metadata ?? {};
  const best = answer.predictions[0];
  if (latitude === undefined || longitude === undefined || !best) return null;
  const km = distanceKm(latitude, longitude, best.latitude, best.longitude);
  const held = [0.5, 0.9].find((mass) => inArea(answer, mass, latitude, longitude));
  const known = answer.credible?.some(({ geometry }) => geometry);
  const where = held ? `, inside the ${held * 100} % region` : known ? ", outside the 90 % region" : "";
  return h(
    "p",
    { class: "card comparison" },
    h("span", { class: "own-key", "aria-hidden": "true" }),
    h(
      "span",
      {},
      h("strong", {}, `${kilometres(km)} off. `),
      `The file says it was taken at ${coordinates(latitude, longitude)}${where}. It was not told to the server.`,
    ),
  );
}

function waiting(privacy: boolean): HTMLElement {
  return h(
    "div",
    { class: "skeleton" },
    h("p", {}, privacy ? "Looking at what the pixels tell…" : "Looking…"),
    ...[90, 60, 100, 100, 100].map((width) => h("span", { class: `line w${width}`, "aria-hidden": "true" })),
  );
}

function failure(app: App, subject: Subject): HTMLElement {
  const needsKey = subject.refused === 401 || subject.refused === 403;
  const key = h("input", { id: "key", type: "password", autocomplete: "off" });
  const again = h(
    "button",
    { type: "button", class: "button", click: () => app.retry(subject, needsKey ? key.value : undefined) },
    "Try again",
  );
  return h(
    "div",
    { class: "card error", role: "alert" },
    icon("alert"),
    h(
      "div",
      {},
      h("h2", {}, needsKey ? "This server asks for a key" : "No answer"),
      h("p", {}, subject.error ?? ""),
      needsKey ? h("div", { class: "row" }, h("label", { for: "key" }, "API key"), key, again) : !app.viewer && again,
    ),
  );
}

function consent(app: App, subject: Subject): HTMLElement {
  const { latitude, longitude } = subject.metadata ?? {};
  const position = latitude !== undefined && longitude !== undefined;
  return h(
    "div",
    { class: "card error", role: "alert" },
    icon("shield"),
    h(
      "div",
      {},
      h("h2", {}, "Nothing was sent"),
      h(
        "p",
        {},
        "This browser cannot open the file, so that its metadata cannot be removed here. ",
        position ? "The file contains a position. " : "",
        "Save it as JPEG or PNG, or send it as it is.",
      ),
      h("button", { type: "button", class: "button", click: () => app.consent(subject) }, "Send it with its metadata"),
    ),
  );
}
