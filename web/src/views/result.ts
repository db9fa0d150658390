// The answer in words: the verdict, the ranked places, the file's own position, downloads.
import type { App } from "../app";
import { byId, h, icon } from "../dom";
import { coordinates, kilometres, percent } from "../format";
import { inArea } from "../map/globe";
import { distanceKm } from "../sphere";
import type { Answer, Subject } from "../types";
import { privacyReport } from "./privacy";
import { headline, placeName, restriction, sentence, verdict } from "./verdict";

let drawn: unknown[] = [];

/** Draws the result anew if anything it shows has changed, so that focus and screen readers are left alone if not. */
export function renderResult(app: App, choose: (rank: number) => void): void {
  const { selected, privacy, model } = app;
  const now = [selected, selected?.status, selected?.answer, selected?.error, selected?.needsConsent, privacy, model];
  if (now.every((value, i) => value === drawn[i]) && drawn.length > 0) return;
  drawn = now;
  byId("result").replaceChildren(...(selected ? content(app, selected, choose) : []));
  byId("status").textContent = selected ? announcement(selected) : "";
}

export function renderDownloads(app: App): void {
  const box = byId("downloads");
  box.hidden = app.privacy || !app.subjects.some((subject) => subject.answer);
  if (box.childElementCount > 0) return;
  const button = (format: "geojson" | "kml", label: string) =>
    h("button", { type: "button", class: "button small", click: () => app.save(format) }, icon("download"), label);
  box.append(button("geojson", "GeoJSON"), button("kml", "KML"));
}

function content(app: App, subject: Subject, choose: (rank: number) => void): HTMLElement[] {
  if (subject.needsConsent) return [consent(app, subject)];
  if (subject.status === "failed") return [failure(app, subject)];
  if (!subject.answer) return [waiting(app.privacy)];
  const stale = subject.status !== "answered";
  const parts = app.privacy
    ? privacyReport(subject, subject.answer, app.model?.caution)
    : [verdict(subject.answer), comparison(subject, subject.answer), places(subject.answer, choose)];
  return [h("div", { class: "parts", "aria-busy": stale && "true" }, ...parts)];
}

/** What was found, in one breath. */
function announcement(subject: Subject): string {
  if (subject.needsConsent) return `${subject.name} was not sent: its metadata cannot be removed in this browser.`;
  if (subject.status === "failed") return `${subject.name} failed: ${subject.error}`;
  if (subject.status !== "answered" || !subject.answer) return `Looking at ${subject.name}.`;
  const { answer } = subject;
  const count = answer.predictions.length > 0 && `${answer.predictions.length} places are listed.`;
  return [restriction(answer), `${headline(answer)}.`, sentence(answer), count].filter(Boolean).join(" ");
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
