// What somebody asks about and what was answered; whoever shows it is told when that changes.
import { knownModels, locate, Refused, useKey } from "./api";
import { unpack } from "./embedded";
import { saveGeoJSON, saveKML } from "./exports";
import { openPicture, words } from "./pictures/open";
import { NotAPlan, Plan } from "./plan/plan";
import type { Answer, Embedded, Model, Region, Subject } from "./types";

const MANY = 12; // answers in a file
const AT_ONCE = 2; // questions under way: one is encoded while the other is sent

export class App {
  subjects: Subject[] = [];
  selected: Subject | undefined;
  regions: Region[] = [];
  privacy = false;
  plan: Plan | undefined;
  /** Why a file that was to be opened is no plan. */
  noPlan: string | undefined;
  model: (Partial<Model> & Pick<Model, "name" | "caution">) | undefined;
  /** The name of the model, or of several that each answer some of the pictures. */
  label = "";
  readonly viewer: boolean;
  private asking = new AbortController();
  private underWay = 0;

  constructor(
    private readonly embedded: Embedded | null,
    private readonly changed: () => void,
  ) {
    this.viewer = embedded !== null;
  }

  start(): void {
    if (this.embedded) this.open(this.embedded);
    else void this.meet();
    this.changed();
  }

  /** Learns which model answers; a page that is open before the server is ready asks when it is first used. */
  private async meet(): Promise<void> {
    try {
      const models = await knownModels();
      this.model = models.find((candidate) => candidate.default) ?? models[0];
      const names = models.map(({ name }) => name).join(", ");
      this.label = models.length > 1 ? `auto (${names})` : names;
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      console.warn(error.message);
    }
    this.changed();
  }

  private open({ model, answers }: Embedded): void {
    this.model = model;
    this.label = model.name;
    this.subjects = answers.map((answer, i): Subject => {
      const subject: Subject = {
        id: i,
        name: answer.path ?? answer.text ?? `picture ${i + 1}`,
        kind: answer.path === null && answer.text !== undefined ? "words" : "picture",
        status: answer.error === undefined ? "answered" : "failed",
      };
      if (answer.error !== undefined) return { ...subject, error: answer.error };
      if ("packed" in answer) return Object.assign(subject, { packed: answer.packed, best: answer.best });
      const best = answer.predictions[0];
      if (answer.thumbnail) subject.preview = answer.thumbnail;
      if (best) subject.best = [best.latitude, best.longitude];
      return { ...subject, answer };
    });
    if (!this.many) this.selected = this.subjects.find((subject) => subject.answer) ?? this.subjects[0];
  }

  /** The model of the answer in view with what it is not for; the default one where there is no answer. */
  get answering(): App["model"] {
    const answer = this.selected?.answer;
    if (!answer || answer.model === this.model?.name) return this.model;
    const warning = answer.warnings?.find(({ kind }) => kind === "model")?.text;
    return { name: answer.model, caution: warning?.replace(/^Caution: /, "").replace(/\.$/, "") ?? null };
  }

  /** Whether there are so many answers that they are first seen on one map. */
  get many(): boolean {
    return this.viewer && this.subjects.length > MANY;
  }

  async addFiles(files: { blob: Blob; name: string }[]): Promise<void> {
    for (const [i, { blob, name }] of files.entries()) {
      const subject = await openPicture(blob, name);
      this.subjects.push(subject);
      if (i === 0) this.selected = subject;
      this.askNext();
      this.changed();
    }
  }

  /** Opens a plan in place of all else; it stays in the page. */
  async openPlan(file: Blob, name: string): Promise<void> {
    if (!this.mayLeavePlan()) return;
    this.noPlan = undefined;
    try {
      this.plan = await Plan.open(file, name);
    } catch (error) {
      if (!(error instanceof NotAPlan)) throw error;
      this.noPlan = `${name}: ${error.message}`;
    }
    this.changed();
  }

  closePlan(): void {
    if (!this.mayLeavePlan()) return;
    [this.plan, this.noPlan] = [undefined, undefined];
    this.changed();
  }

  private mayLeavePlan(): boolean {
    return !this.plan?.unsaved || confirm(`Close ${this.plan.name} without saving what you changed?`);
  }

  /** The small copy of a photo that came with the page, if there is one of that name and no other. */
  async previewOf(name: string): Promise<string | undefined> {
    const [subject, another] = this.subjects.filter((candidate) => candidate.name.split(/[/\\]/).at(-1) === name);
    if (!subject || another) return undefined;
    return subject.packed ? (await unpack(subject.packed)).thumbnail : subject.preview;
  }

  addWords(text: string): void {
    const subject = words(text);
    this.subjects.push(subject);
    this.selected = subject;
    this.askNext();
    this.changed();
  }

  /** Sends a file as it is, because its owner said so. */
  consent(subject: Subject): void {
    if (!subject.original) return;
    Object.assign(subject, { sent: subject.original, needsConsent: false, status: "waiting" });
    this.askNext();
    this.changed();
  }

  retry(subject: Subject, key?: string): void {
    if (key !== undefined) useKey(key);
    for (const other of this.subjects)
      if (other === subject || (key !== undefined && other.status === "failed" && !other.needsConsent))
        other.status = "waiting";
    if (!this.model) void this.meet();
    this.askNext();
    this.changed();
  }

  remove(subject: Subject): void {
    const index = this.subjects.indexOf(subject);
    this.subjects = this.subjects.filter((other) => other !== subject);
    if (subject.preview?.startsWith("blob:")) URL.revokeObjectURL(subject.preview);
    if (this.selected === subject) this.selected = this.subjects[Math.min(index, this.subjects.length - 1)];
    this.changed();
  }

  /** Shows one subject, or with none the overview. */
  select(subject: Subject | undefined): void {
    this.selected = subject;
    if (subject?.packed) void this.unpack(subject, subject.packed);
    this.changed();
  }

  private async unpack(subject: Subject, packed: string): Promise<void> {
    const { thumbnail, ...answer } = await unpack(packed);
    delete subject.packed;
    Object.assign(subject, { answer, ...(thumbnail ? { preview: thumbnail } : {}) });
    this.changed();
  }

  /** Every answer depends on the regions: all are asked again, the one in view first. */
  setRegions(regions: Region[]): void {
    this.regions = regions;
    this.asking.abort();
    this.asking = new AbortController();
    for (const subject of this.subjects) if (!subject.needsConsent) subject.status = "waiting";
    this.askNext();
    this.changed();
  }

  switchPrivacy(): void {
    this.privacy = !this.privacy;
    this.changed();
  }

  async save(format: "geojson" | "kml"): Promise<void> {
    for (const subject of this.subjects) if (subject.packed) await this.unpack(subject, subject.packed);
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
      this.changed();
    }
  }
}
