// Where the answer has to lie: countries, boxes and circles typed, boxes and polygons drawn, or what the map shows.
import type { Polygon } from "geojson";
import type { App } from "../app";
import { byId, h, icon } from "../dom";
import { box, type Drawing, type Tool } from "../map/draw";
import type { Globe } from "../map/globe";
import { wrap } from "../sphere";
import type { Region } from "../types";

export class RegionView {
  private globe: Globe | undefined;
  private drawing: Drawing | undefined;
  private readonly input = h("input", {
    id: "region-input",
    type: "text",
    list: "countries",
    autocomplete: "off",
    placeholder: "Norway",
    "aria-describedby": "region-hint",
  });
  private readonly list = h("datalist", { id: "countries" });
  private readonly chips = h("ul", { class: "chips", "aria-label": "Regions in force" });

  constructor(private readonly app: App) {
    const tool = (name: Tool) =>
      h(
        "button",
        { type: "button", class: "button small", "data-tool": name, click: () => this.draw(name) },
        icon(name),
        name === "box" ? "Draw a box" : "Draw a polygon",
      );
    byId("region").replaceChildren(
      h("h2", {}, "Only within…"),
      this.chips,
      h(
        "form",
        { class: "row", submit: (event) => this.typed(event) },
        h("label", { for: "region-input", class: "visually-hidden" }, "Country, box or circle"),
        this.input,
        this.list,
        h("button", { type: "submit", class: "button" }, "Add"),
      ),
      h("p", { id: "region-hint", class: "hint" }, "A country; south, west, north, east; or latitude, longitude, km"),
      h(
        "div",
        { class: "row tools", role: "group", "aria-label": "Regions on the map" },
        tool("box"),
        tool("polygon"),
        h(
          "button",
          { type: "button", class: "button small", click: () => this.useView() },
          icon("view"),
          "What the map shows",
        ),
      ),
    );
  }

  useGlobe(globe: Globe): void {
    this.globe = globe;
    const names = globe.geography.countries
      .map(({ properties }) => properties.name)
      .sort((a, b) => a.localeCompare(b, "en"));
    this.list.replaceChildren(...names.map((name) => h("option", { value: name })));
  }

  render(): void {
    const { regions, subjects, viewer, privacy } = this.app;
    byId("region").hidden = viewer || subjects.length === 0 || privacy;
    for (const tool of byId("region").querySelectorAll<HTMLButtonElement>(".tools button")) tool.disabled = !this.globe;
    this.chips.hidden = regions.length === 0;
    this.chips.replaceChildren(
      ...regions.map((region) =>
        h(
          "li",
          {},
          region.label,
          h(
            "button",
            {
              type: "button",
              class: "quiet icon-only",
              "aria-label": `Remove ${region.label}`,
              click: () => this.remove(region),
            },
            icon("close"),
          ),
        ),
      ),
    );
  }

  private typed(event: Event): void {
    event.preventDefault();
    const text = this.input.value.trim();
    if (!text) return;
    this.input.value = "";
    const wanted = text.toLowerCase();
    const country = this.globe?.geography.countries.find(
      ({ properties: { name, code } }) => name.toLowerCase() === wanted || code?.toLowerCase() === wanted,
    );
    if (country) {
      const { name, code } = country.properties;
      this.add({ text: code ?? name, label: name, outline: country.geometry });
      return;
    }
    const numbers = text.split(",").map(Number);
    const outline =
      numbers.length === 4 && numbers.every(Number.isFinite)
        ? boxOf(numbers as [number, number, number, number])
        : null;
    this.add({ text, label: text, ...(outline ? { outline } : {}) });
  }

  private draw(tool: Tool): void {
    const { globe } = this;
    if (!globe) return;
    this.drawing?.cancel();
    const done = (shape: Polygon) => {
      this.endDrawing();
      const [west, south, east, north] = bounds(shape);
      if (tool === "box") this.addBox([south, west, north, east]);
      else this.add({ text: JSON.stringify(shape), label: "drawn polygon", outline: shape });
    };
    this.drawing = globe.draw(tool, done, () => this.endDrawing());
    byId("map-section").scrollIntoView({ block: "nearest" });
    const cancel = h(
      "button",
      { type: "button", class: "button small", click: () => this.drawing?.cancel() },
      "Cancel",
    );
    const finish = h("button", { type: "button", class: "button small", click: () => this.drawing?.finish() }, "Done");
    const text = tool === "box" ? "Drag, or click two corners" : "Click the corners, then the first again";
    byId("draw-hint").replaceChildren(h("span", {}, text), ...(tool === "polygon" ? [finish] : []), cancel);
    byId("draw-hint").hidden = false;
  }

  private endDrawing(): void {
    this.drawing = undefined;
    byId("draw-hint").hidden = true;
  }

  private useView(): void {
    const view = this.globe?.view();
    if (view) this.addBox(view);
  }

  private addBox([south, west, north, east]: [number, number, number, number]): void {
    const round = (value: number) => Number(value.toFixed(3));
    const whole = east - west >= 360;
    const sides = [Math.max(south, -90), whole ? -180 : wrap(west), Math.min(north, 90), whole ? 180 : wrap(east)].map(
      round,
    );
    const outline = box([west, south], [east, north]);
    this.add({
      text: sides.join(","),
      label: sides.map((side) => side.toFixed(1)).join(", "),
      ...(outline ? { outline } : {}),
    });
  }

  private add(region: Region): void {
    this.app.setRegions([...this.app.regions.filter(({ text }) => text !== region.text), region]);
  }

  private remove(region: Region): void {
    this.app.setRegions(this.app.regions.filter((other) => other !== region));
    this.input.focus({ preventScroll: true });
  }
}

function boxOf([south, west, north, east]: [number, number, number, number]): Polygon | null {
  return box([west, south], [east < west ? east + 360 : east, north]);
}

function bounds(shape: Polygon): [number, number, number, number] {
  const ring = shape.coordinates[0] ?? [];
  const [longitudes, latitudes] = [0, 1].map((axis) => ring.map((position) => position[axis] ?? 0)) as [
    number[],
    number[],
  ];
  return [Math.min(...longitudes), Math.min(...latitudes), Math.max(...longitudes), Math.max(...latitudes)];
}
