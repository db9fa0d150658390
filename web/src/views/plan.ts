// A plan to look through: its rows beside the map, a marker each, and the file to be saved. Nothing of it is sent.
import type { App } from "../app";
import { byId, h, icon } from "../dom";
import { save } from "../exports";
import { kilometres, percent } from "../format";
import type { Globe } from "../map/globe";
import { isDegrees, number, type Plan, type PlanRow } from "../plan/plan";
import { distanceKm } from "../sphere";

const AT_ONCE = 50; // rows in the list, and markers on the map

export class PlanView {
  private globe: Globe | undefined;
  private plan: Plan | undefined;
  private chosen: PlanRow | undefined;
  private first = 0;

  constructor(private readonly app: App) {}

  useGlobe(globe: Globe): void {
    this.globe = globe;
    this.frame();
  }

  start(): void {
    const input = byId<HTMLInputElement>("plan-file");
    input.addEventListener("change", () => {
      const file = input.files?.[0];
      if (file) void this.app.openPlan(file, file.name);
      input.value = "";
    });
    window.addEventListener("beforeunload", (event) => {
      if (this.plan?.unsaved) event.preventDefault();
    });
  }

  render(): void {
    const { plan, noPlan } = this.app;
    byId("plan-open").hidden = plan !== undefined;
    byId("plan").hidden = !plan && noPlan === undefined;
    if (plan !== this.plan) {
      [this.plan, this.chosen, this.first] = [plan, undefined, 0];
      if (plan) byId("status").textContent = `${plan.name} is open: ${summary(plan)}.`;
      this.frame();
    }
    this.draw();
  }

  private draw(): void {
    const { plan, app } = this;
    const focused = document.activeElement?.getAttribute("data-part");
    const error =
      app.noPlan !== undefined &&
      h(
        "div",
        { class: "card error", role: "alert" },
        icon("alert"),
        h(
          "div",
          {},
          h("p", {}, app.noPlan),
          !plan && h("button", { type: "button", class: "button small", click: () => app.closePlan() }, "Close"),
        ),
      );
    byId("plan").replaceChildren(...(error ? [error] : []), ...(plan ? this.content(plan) : []));
    if (focused) byId("plan").querySelector<HTMLElement>(`[data-part="${focused}"]`)?.focus({ preventScroll: true });
    this.globe?.planned.show(
      this.shown.map((row, i) => ({
        label: String(this.first + i + 1),
        position: row.position,
        accepted: row.accepted,
        chosen: row === this.chosen,
      })),
      (i, latitude, longitude) => this.moved(this.shown[i], latitude, longitude),
      (i) => this.choose(this.shown[i], true),
    );
  }

  private get shown(): PlanRow[] {
    return this.plan?.rows.slice(this.first, this.first + AT_ONCE) ?? [];
  }

  private content(plan: Plan): HTMLElement[] {
    const last = Math.min(this.first + AT_ONCE, plan.rows.length);
    const turn = (to: number, label: string) =>
      h(
        "button",
        {
          type: "button",
          class: "button small",
          "data-part": label,
          disabled: to < 0 || to >= plan.rows.length,
          click: () => this.turn(to),
        },
        label,
      );
    return [
      h(
        "section",
        { class: "verdict", "aria-labelledby": "plan-title" },
        h("h1", { id: "plan-title" }, plan.name),
        h("p", { class: "sentence" }, `${summary(plan)}. Drag a marker to correct its place. Nothing is sent.`),
        h(
          "div",
          { class: "row" },
          h(
            "button",
            { type: "button", class: "button small primary", "data-part": "save", click: () => this.save(plan) },
            icon("download"),
            `Save ${plan.name}`,
          ),
          h("button", { type: "button", class: "button small", click: () => this.app.closePlan() }, "Close"),
        ),
      ),
      h("ol", { class: "plan-rows", start: this.first + 1 }, ...this.shown.map((row, i) => this.item(row, i))),
      ...(plan.rows.length > AT_ONCE
        ? [
            h(
              "div",
              { class: "row" },
              turn(this.first - AT_ONCE, "Previous"),
              turn(this.first + AT_ONCE, "Next"),
              h("span", { class: "hint" }, `${this.first + 1} to ${last} of ${plan.rows.length}`),
            ),
          ]
        : []),
    ];
  }

  private item(row: PlanRow, i: number): HTMLElement {
    const chosen = row === this.chosen;
    const accept = h("input", {
      type: "checkbox",
      "aria-label": `Accept ${row.name}`,
      "data-part": `accept-${i}`,
      checked: row.accepted,
      disabled: !row.position && !row.accepted,
      change: (event) => {
        row.accept((event.target as HTMLInputElement).checked);
        this.draw();
      },
    });
    return h(
      "li",
      { class: chosen ? "chosen" : "" },
      accept,
      h(
        "button",
        { type: "button", "aria-expanded": String(chosen), "data-part": `row-${i}`, click: () => this.choose(row) },
        h("span", { class: "rank", "aria-hidden": "true" }, String(this.first + i + 1)),
        h(
          "span",
          { class: "where" },
          h("span", { class: "name" }, row.name),
          h("span", { class: "coordinates" }, told(row)),
        ),
      ),
      chosen && this.editor(row),
    );
  }

  private editor(row: PlanRow): HTMLElement {
    const [latitude, longitude] = row.position ?? [];
    const fields = [
      { name: "Latitude", column: "latitude" as const, value: latitude },
      { name: "Longitude", column: "longitude" as const, value: longitude },
    ].map(({ name, column, value }) => ({
      column,
      input: h("input", {
        type: "text",
        inputmode: "decimal",
        "aria-label": name,
        placeholder: name,
        value: value === undefined ? "" : String(value),
        "data-part": name,
        change: () => set(),
      }),
    }));
    const set = () => {
      const values = fields.map(({ input, column }) => {
        const value = number(input.value);
        const good = isDegrees(column, value);
        if (input.value !== "") input.setAttribute("aria-invalid", String(!good));
        return good ? value : undefined;
      });
      const [north, east] = values;
      if (north !== undefined && east !== undefined) this.moved(row, north, east);
    };
    const preview = h("div", { class: "plan-preview" });
    void this.app.previewOf(row.name).then((address) => {
      if (address) preview.replaceChildren(h("img", { src: address, alt: `The picture ${row.name}` }));
    });
    const { globe } = this;
    return h(
      "div",
      { class: "plan-editor" },
      preview,
      h("div", { class: "row" }, ...fields.map(({ input }) => input)),
      h(
        "div",
        { class: "row" },
        globe &&
          h(
            "button",
            {
              type: "button",
              class: "button small",
              "data-part": "middle",
              click: () => this.moved(row, ...globe.middle()),
            },
            "Set to the middle of the map",
          ),
        row.changed &&
          h(
            "button",
            { type: "button", class: "button small", "data-part": "undo", click: () => this.undo(row) },
            "Undo",
          ),
      ),
    );
  }

  private moved(row: PlanRow | undefined, latitude: number, longitude: number): void {
    if (!row) return;
    const from = row.position;
    row.move(latitude, longitude);
    this.chosen = row;
    const [north, east] = row.position ?? [latitude, longitude];
    const far = from ? `, ${kilometres(distanceKm(...from, north, east))} from where it was` : "";
    byId("status").textContent = `${row.name} is set by hand${far}.`;
    this.draw();
  }

  private undo(row: PlanRow): void {
    row.undo();
    byId("status").textContent = `${row.name} is as in the file.`;
    this.draw();
    byId("plan").querySelector<HTMLElement>("[aria-expanded=true]")?.focus({ preventScroll: true });
  }

  /** Opens a row, or closes the one that is open; a marker's click brings it into view. */
  private choose(row: PlanRow | undefined, fromMap = false): void {
    this.chosen = row === this.chosen && !fromMap ? undefined : row;
    if (this.chosen?.position && !fromMap) this.globe?.goTo(this.chosen.position);
    this.draw();
    if (fromMap) byId("plan").querySelector("li.chosen")?.scrollIntoView({ block: "nearest" });
  }

  private turn(to: number): void {
    [this.first, this.chosen] = [to, undefined];
    this.draw();
    this.frame();
  }

  private frame(): void {
    this.globe?.frameAll(this.shown.flatMap(({ position }) => (position ? [position] : [])));
  }

  private save(plan: Plan): void {
    save(plan.file(), plan.name);
    byId("status").textContent = `${plan.name} is saved. Write its positions with earthclip apply.`;
    this.draw();
  }
}

function summary({ rows }: Plan): string {
  const count = (rows_: PlanRow[]) => rows_.length.toLocaleString("en");
  const changed = rows.filter((row) => row.changed);
  const parts = [
    `${count(rows)} ${rows.length === 1 ? "photo" : "photos"}`,
    `${count(rows.filter((row) => row.accepted))} accepted`,
    changed.length > 0 && `${count(changed)} changed`,
  ];
  return parts.filter(Boolean).join(", ");
}

/** A row in words: where, how sure, how far off, and what that came from. */
function told(row: PlanRow): string {
  if (!row.position) return ["no position", row.text("source")].filter(Boolean).join(", ");
  if (row.byHand) return `${row.position.join(", ")}, set by hand`;
  const [probability, radius] = [number(row.text("probability")), number(row.text("radius_km"))];
  const sure = probability === undefined ? "" : percent(probability);
  const within = radius === undefined ? "no region stands out" : `likely within ${kilometres(radius)}`;
  return [row.text("place") || row.position.join(", "), sure, within, row.text("source")].filter(Boolean).join(", ");
}
