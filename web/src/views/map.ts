// The map's side of an answer: what is drawn, which place is chosen, the legend.
import type { App } from "../app";
import { byId, h } from "../dom";
import type { Globe } from "../map/globe";
import type { Answer, Region } from "../types";

export class MapView {
  private globe: Globe | undefined;
  private shown: Answer | undefined;
  private regions: Region[] = [];
  private overview = false;

  constructor(private readonly app: App) {}

  useGlobe(globe: Globe): void {
    this.globe = globe;
    const button = byId("projection");
    button.addEventListener("click", () => {
      globe.setFlat(!globe.flat);
      button.setAttribute("aria-pressed", String(globe.flat));
    });
    globe.map
      .getCanvas()
      .setAttribute(
        "aria-label",
        "Map; arrow keys move it, plus and minus zoom. The list of places says what it shows.",
      );
  }

  /** Draws what is new only: an answer that is in view already must not move the map again. */
  render(): void {
    const { globe } = this;
    const { selected, regions } = this.app;
    if (!globe) return;
    const answer = this.app.plan ? undefined : selected?.answer;
    const overview = this.app.many && !selected && !this.app.plan;
    if (overview !== this.overview) {
      this.overview = overview;
      if (overview) globe.showOverview(this.app.subjects, (subject) => this.app.select(subject));
      else globe.hideOverview();
    }
    if (answer !== this.shown) {
      this.shown = answer;
      globe.show(answer, (rank) => this.choose(rank));
      const { latitude, longitude } = selected?.metadata ?? {};
      if (answer && latitude !== undefined && longitude !== undefined) globe.showOwnPosition(latitude, longitude);
      this.renderLegend(answer);
    }
    if (this.regions !== regions) {
      this.regions = regions;
      globe.showRegions(regions);
    }
  }

  choose(rank: number): void {
    const candidate = this.shown?.predictions[rank];
    if (!candidate) return;
    this.globe?.select(rank, candidate.latitude, candidate.longitude);
    for (const [i, item] of [...document.querySelectorAll(".places button")].entries())
      item.setAttribute("aria-pressed", String(i === rank));
  }

  private renderLegend(answer: Answer | undefined): void {
    const legend = byId("legend");
    const masses = (answer?.credible ?? []).filter(({ geometry }) => geometry).map(({ mass }) => mass);
    legend.hidden = !answer?.surface && masses.length === 0;
    if (!answer) return;
    const most = answer.surface?.most;
    legend.replaceChildren(
      ...(most === undefined
        ? []
        : [
            h("span", { class: "ramp", "aria-hidden": "true" }),
            h("span", { class: "ends" }, h("span", {}, "unlikely"), h("span", {}, `up to ${most}`)),
          ]),
      ...masses.map((mass) =>
        h(
          "span",
          { class: "key" },
          h("span", { class: mass > 0.7 ? "stroke dashed" : "stroke", "aria-hidden": "true" }),
          `holds ${Math.round(mass * 100)} %`,
        ),
      ),
    );
  }
}
