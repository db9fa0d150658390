// The question: choosing, dropping and pasting photos, typing words, and the strip of what was asked.
import greatLakes from "/examples/great-lakes.jpg?url";
import italy from "/examples/italy.jpg?url";
import redSea from "/examples/red-sea.jpg?url";
import type { App } from "../app";
import { byId, h, icon } from "../dom";
import type { Subject } from "../types";

const EXAMPLES = [
  { address: redSea, name: "red-sea.jpg", alt: "A sea between deserts, from space" },
  { address: italy, name: "italy.jpg", alt: "A long peninsula, from space" },
  { address: greatLakes, name: "great-lakes.jpg", alt: "Large lakes among forests, from space" },
];

export class AskView {
  constructor(private readonly app: App) {}

  start(): void {
    this.takeDrops();
    if (this.app.viewer) return;
    byId("privacy-switch").addEventListener("click", () => this.app.switchPrivacy());
    const input = byId<HTMLInputElement>("files");
    input.addEventListener("change", () => {
      this.add([...(input.files ?? [])]);
      input.value = "";
    });
    byId("words").addEventListener("submit", (event) => {
      event.preventDefault();
      const words = byId<HTMLInputElement>("words-input");
      if (words.value.trim()) this.app.addWords(words.value.trim());
      words.value = "";
    });
    document.addEventListener("paste", (event) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (files.length > 0) {
        event.preventDefault();
        this.add(files);
      }
    });
    byId("examples").replaceChildren(
      h("p", { id: "examples-title" }, "Or try a picture of the Earth from above"),
      h(
        "div",
        { class: "row", role: "group", "aria-labelledby": "examples-title" },
        ...EXAMPLES.map((example) => this.example(example)),
      ),
    );
    byId("sent-text").replaceChildren(...whatIsSent());
  }

  render(): void {
    const { app } = this;
    const { subjects, selected, answering: model } = app;
    const empty = subjects.length === 0;
    const pictures = empty || subjects.some(({ kind }) => kind === "picture");
    const caution = pictures && model?.caution ? cautionOf(model.name, model.caution) : "";
    byId("question").textContent = this.question();
    byId("lead").textContent = app.privacy
      ? "See what its metadata and its pixels would tell a stranger, and take a copy without the metadata."
      : "See where a photo was probably taken, and how sure the model is.";
    byId("lead").hidden = !empty;
    byId("caution").hidden = caution === "";
    byId("caution").textContent = caution;
    byId("privacy-switch").hidden = app.viewer;
    byId("privacy-switch").setAttribute("aria-checked", String(app.privacy));
    if (app.viewer) {
      for (const id of ["drop", "words", "examples", "sent-note"]) byId(id).hidden = true;
    } else {
      byId("files-label").replaceChildren(icon(empty ? "photo" : "plus"), empty ? "Choose photos" : "Add photos");
      byId("examples").hidden = !empty;
      this.renderWords();
    }
    const stage = byId("stage");
    stage.hidden = empty;
    // A long list that is drawn again would lose its place.
    const figure = selected ? [this.figure(selected)] : [];
    if (app.many) stage.replaceChildren(...figure, this.names());
    else stage.replaceChildren(...figure, ...(subjects.length > 1 ? [this.strip()] : []));
  }

  private question(): string {
    if (this.app.privacy) return "How locatable is my photo?";
    return this.app.subjects.length > 1 ? "Where on Earth are these?" : "Where on Earth is this?";
  }

  private renderWords(): void {
    const { model, subjects } = this.app;
    byId<HTMLInputElement>("words-input").placeholder = subjects.length
      ? "or words"
      : "snow-capped volcano over a rice paddy";
    const without = model?.words === false;
    byId<HTMLInputElement>("words-input").disabled = without;
    byId("words").querySelector("button")?.toggleAttribute("disabled", without);
    byId("words-hint").textContent = without ? `The model ${model.name} reads pictures only.` : "";
    byId("words").hidden = without && subjects.length > 0;
  }

  private figure(subject: Subject): HTMLElement {
    const busy = subject.status === "asking" || subject.status === "waiting";
    const remove = h(
      "button",
      {
        type: "button",
        class: "quiet icon-only",
        "aria-label": `Remove ${subject.name}`,
        click: () => this.remove(subject),
      },
      icon("close"),
    );
    const body =
      subject.kind === "words"
        ? h("blockquote", {}, subject.name)
        : subject.preview
          ? h("img", { src: subject.preview, alt: `The picture ${subject.name}` })
          : h("div", { class: "no-preview" }, icon("photo"), "This browser cannot show it");
    return h(
      "figure",
      { class: `subject ${subject.kind}`, "data-busy": busy },
      h("div", { class: "frame" }, body),
      h(
        "figcaption",
        {},
        h("span", { class: "name" }, subject.kind === "words" ? "Words" : subject.name),
        !this.app.viewer && remove,
      ),
    );
  }

  private strip(): HTMLElement {
    const items = this.app.subjects.map((subject) => {
      const chosen = subject === this.app.selected;
      const picture = subject.preview
        ? h("img", { src: subject.preview, alt: "" })
        : h("span", { class: "letters" }, subject.name);
      const state = { waiting: "waiting", asking: "looking", answered: "", failed: "failed" }[subject.status];
      const button = h(
        "button",
        {
          type: "button",
          class: "thumb",
          "data-status": subject.status,
          "data-id": subject.id,
          "aria-current": chosen && "true",
          click: () => this.choose(subject),
        },
        picture,
        h("span", { class: "visually-hidden" }, [subject.name, state].filter(Boolean).join(", ")),
      );
      return h("li", {}, button);
    });
    return h("ul", { class: "strip", "aria-label": "What was asked" }, ...items);
  }

  /** Many subjects by name: their thumbnails are unpacked when they are looked at. */
  private names(): HTMLElement {
    const items = this.app.subjects.map((subject, i) =>
      h("option", { value: i, selected: subject === this.app.selected }, subject.name),
    );
    const list = h(
      "select",
      {
        id: "names",
        size: 8,
        change: (event) => {
          this.app.select(this.app.subjects[Number((event.target as HTMLSelectElement).value)]);
          byId("names").focus({ preventScroll: true });
        },
      },
      ...items,
    );
    return h("div", { class: "names" }, h("label", { for: "names" }, "What was asked"), list);
  }

  /** The strip is drawn anew, so that the focus has to be put where it was. */
  private choose(subject: Subject): void {
    this.app.select(subject);
    byId("stage").querySelector<HTMLElement>(`[data-id="${subject.id}"]`)?.focus({ preventScroll: true });
  }

  private remove(subject: Subject): void {
    this.app.remove(subject);
    byId("files").focus({ preventScroll: true });
  }

  /** Opens a plan, or asks about photos, which only a server can answer. */
  private add(files: File[]): void {
    const plan = files.find(({ name }) => name.toLowerCase().endsWith(".csv"));
    if (plan) void this.app.openPlan(plan, plan.name);
    else if (!this.app.viewer && !this.app.plan)
      void this.app.addFiles(files.map((file) => ({ blob: file, name: file.name || "pasted picture" })));
  }

  private example({ address, name, alt }: (typeof EXAMPLES)[number]): HTMLElement {
    const ask = async () => {
      const blob = await (await fetch(address)).blob();
      await this.app.addFiles([{ blob, name }]);
      byId("answer").focus({ preventScroll: true });
    };
    return h(
      "button",
      { type: "button", class: "example", click: () => void ask() },
      h("img", { src: address, alt, loading: "lazy" }),
    );
  }

  private takeDrops(): void {
    const veil = byId("drop-veil");
    let inside = 0;
    const has = (event: DragEvent) => event.dataTransfer?.types.includes("Files") ?? false;
    document.addEventListener("dragenter", (event) => {
      if (has(event)) veil.hidden = ++inside === 0;
    });
    document.addEventListener("dragleave", (event) => {
      if (has(event)) veil.hidden = --inside <= 0;
    });
    document.addEventListener("dragover", (event) => {
      if (has(event)) event.preventDefault();
    });
    document.addEventListener("drop", (event) => {
      inside = 0;
      veil.hidden = true;
      if (!has(event)) return;
      event.preventDefault();
      this.add([...(event.dataTransfer?.files ?? [])]);
    });
  }
}

/** The caution of the model as sentences: "orbit works on … It cannot …" */
export function cautionOf(name: string, caution: string): string {
  const sentences = caution.split("; ").map((part) => `${part.charAt(0).toUpperCase()}${part.slice(1)}.`);
  const [first = "", ...rest] = [
    caution.startsWith("for ") ? `is ${sentences[0]}` : (sentences[0] ?? ""),
    ...sentences.slice(1),
  ];
  return [`The model ${name} ${first.charAt(0).toLowerCase()}${first.slice(1)}`, ...rest].join(" ");
}

function whatIsSent(): HTMLElement[] {
  const local = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  const where = local ? "the earthclip server on this computer" : `the earthclip server at ${location.host}`;
  return [
    h(
      "p",
      {},
      `The pixels of your photo go to ${where}, which keeps and logs none of them. Position, time, camera and all other ` +
        "metadata are cut out of the file in this browser before it is sent, and so is its name; only which way is up stays. " +
        "The pixels are sent as they are, not compressed again.",
    ),
    h(
      "p",
      {},
      "A comparison with the position in the file is made in this browser. Words and regions are sent as you wrote or drew them. Nothing goes to any other server.",
    ),
  ];
}
