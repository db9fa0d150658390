// What somebody asks about, what was answered, and who has to be told when that changes.
import { defaultModel, locate, Refused, useKey } from "./api";
import { byId } from "./dom";
import { saveGeoJSON, saveKML } from "./exports";
import type { Globe } from "./map/globe";
import { openPicture, words } from "./pictures/open";
import type { Answer, Embedded, Model, Region, Subject } from "./types";
import { AskView } from "./views/ask";
import { MapView } from "./views/map";
import { RegionView } from "./views/region";
import { renderDownloads, renderResult } from "./views/result";

const AT_ONCE = 2; // questions under way: one is encoded while the other is sent

export class App {
  subjects: Subject[] = [];
  selected: Subject | undefined;
  regions: Region[] = [];
  privacy = false;
  model: (Partial<Model> & Pick<Model, "name" | "caution">) | undefined;
  readonly viewer: boolean;
  globe: Globe | undefined;
  private asking = new AbortController();
  private underWay = 0;
  private readonly askView: AskView;
  private readonly regionView: RegionView;
  private readonly mapView: MapView;

  constructor(private readonly embedded: Embedded | null) {
    this.viewer = embedded !== null;
    this.askView = new AskView(this);
    this.regionView = new RegionView(this);
    this.mapView = new MapView(this);
  }

  start(): void {
    const button = byId("privacy-switch");
    button.addEventListener("click", () => {
      this.privacy = !this.privacy;
      button.setAttribute("aria-checked", String(this.privacy));
      this.render();
    });
    this.askView.start();
    if (this.embedded) this.open(this.embedded);
    else void this.meet();
    this.render();
  }

  /** Learns which model answers; a page that is open before the server is ready asks when it is first used. */
  private async meet(): Promise<void> {
    try {
      this.model = await defaultModel();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      console.warn(error.message);
    }
    this.render();
  }

  private open({ model, answers }: Embedded): void {
    this.model = model;
    this.subjects = answers.map((answer, i): Subject => {
      const subject: Subject = {
        id: i,
        name: answer.path?.split(/[\\/]/).pop() ?? answer.text ?? `picture ${i + 1}`,
        kind: answer.path === null && answer.text !== undefined ? "words" : "picture",
        status: answer.error === undefined ? "answered" : "failed",
      };
      if (answer.thumbnail) subject.preview = answer.thumbnail;
      return answer.error === undefined ? { ...subject, answer } : { ...subject, error: answer.error };
    });
    this.selected = this.subjects.find((subject) => subject.answer) ?? this.subjects[0];
  }

  useGlobe(globe: Globe): void {
    this.globe = globe;
    this.regionView.useCountries(globe.geography.countries);
    this.mapView.start(globe);
    this.render();
  }

  async addFiles(files: { blob: Blob; name: string }[]): Promise<void> {
    for (const [i, { blob, name }] of files.entries()) {
      const subject = await openPicture(blob, name);
      this.subjects.push(subject);
      if (i === 0) this.selected = subject;
      this.askNext();
      this.render();
    }
  }

  addWords(text: string): void {
    const subject = words(text);
    this.subjects.push(subject);
    this.selected = subject;
    this.askNext();
    this.render();
  }

  /** Sends a file as it is, because its owner said so. */
  consent(subject: Subject): void {
    if (!subject.original) return;
    Object.assign(subject, { sent: subject.original, needsConsent: false, status: "waiting" });
    this.askNext();
    this.render();
  }

  retry(subject: Subject, key?: string): void {
    if (key !== undefined) useKey(key);
    for (const other of this.subjects)
      if (other === subject || (key !== undefined && other.status === "failed" && !other.needsConsent))
        other.status = "waiting";
    if (!this.model) void this.meet();
    this.askNext();
    this.render();
  }

  remove(subject: Subject): void {
    const index = this.subjects.indexOf(subject);
    this.subjects = this.subjects.filter((other) => other !== subject);
    if (subject.preview?.startsWith("blob:")) URL.revokeObjectURL(subject.preview);
    if (this.selected === subject) this.selected = this.subjects[Math.min(index, this.subjects.length - 1)];
    this.render();
  }

  select(subject: Subject): void {
    this.selected = subject;
    this.render();
  }

  /** Every answer depends on the regions: all are asked again, the one in view first. */
  setRegions(regions: Region[]): void {
    this.regions = regions;
    this.asking.abort();
    this.asking = new AbortController();
    for (const subject of this.subjects) if (!subject.needsConsent) subject.status = "waiting";
    this.askNext();
    this.render();
  }

  chooseRank(rank: number): void {
    this.mapView.choose(rank);
  }

  save(format: "geojson" | "kml"): void {
    const answered = this.subjects.filter((subject) => subject.answer);
    if (format === "kml") saveKML(answered);
    else saveGeoJSON(answered);
  }

  private askNext(): void {
    while (this.underWay < AT_ONCE) {
      const waiting = [this.selected, ...this.subjects].find((subject) => subject?.status === "waiting");
      if (!waiting) return;
      void this.askAbout(waiting);
    }
  }

  private async askAbout(subject: Subject): Promise<void> {
    const { signal } = this.asking;
    subject.status = "asking";
    delete subject.error;
    this.underWay++;
    try {
      const answer: Answer = await locate(subject, this.regions, signal);
      Object.assign(subject, { answer, status: "answered" });
    } catch (error) {
      if (signal.aborted) return; // asked again already
      if (!(error instanceof Refused)) throw error;
      delete subject.answer;
      Object.assign(subject, { error: error.message, status: "failed", refused: error.status });
    } finally {
      this.underWay--;
      this.askNext();
      this.render();
    }
  }

  render(): void {
    byId("page").dataset.state = this.subjects.length === 0 ? "empty" : "asked";
    byId("page").dataset.mode = this.viewer ? "viewer" : "server";
    byId("privacy-switch").hidden = this.viewer;
    byId("model").textContent = this.model ? `model ${this.model.name}` : "";
    this.askView.render();
    renderResult(this);
    this.regionView.render();
    renderDownloads(this);
    this.mapView.render();
  }
}
