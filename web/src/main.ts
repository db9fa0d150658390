// The page of `earthclip serve`, and of the file that `earthclip locate --map out.html` writes.
import "maplibre-gl/dist/maplibre-gl.css";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/ask.css";
import "./styles/answer.css";
import "./styles/report.css";
import "./styles/map.css";
import "./styles/plan.css";
import { App } from "./app";
import { byId } from "./dom";
import { embeddedAnswers } from "./embedded";
import { Globe } from "./map/globe";
import { startTheme } from "./theme";
import { AskView } from "./views/ask";
import { MapView } from "./views/map";
import { PlanView } from "./views/plan";
import { RegionView } from "./views/region";
import { renderDownloads, renderResult } from "./views/result";

const app = new App(embeddedAnswers(), render);
const askView = new AskView(app);
const regionView = new RegionView(app);
const mapView = new MapView(app);
const planView = new PlanView(app);
let globe: Globe | null = null;
const theme = startTheme((chosen) => globe?.setTheme(chosen));
askView.start();
planView.start();
app.start();

Globe.create(byId("map"), theme).then(
  (created) => {
    globe = created;
    regionView.useGlobe(created);
    mapView.useGlobe(created);
    planView.useGlobe(created);
    render();
    Object.assign(window, { earthclip: { map: created.map } }); // for the console, and for the tests of the page
  },
  (error: unknown) => {
    // No WebGL: the list beside the map says all that the map would.
    byId("map-section").dataset.state = "failed";
    byId("map").textContent = "The map cannot be drawn in this browser. The places are listed beside it.";
    console.warn(error);
  },
);

function render(): void {
  byId("page").dataset.state = app.plan ? "plan" : app.subjects.length === 0 ? "empty" : "asked";
  byId("page").dataset.mode = app.viewer ? "viewer" : "server";
  const model = app.selected?.answer?.model ?? app.label;
  byId("model").textContent = model ? `model ${model}` : "";
  askView.render();
  renderResult(app, (rank) => mapView.choose(rank));
  regionView.render();
  renderDownloads(app);
  mapView.render();
  planView.render();
}
