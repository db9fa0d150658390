// The page of `earthclip serve`, and of the file that `earthclip locate --map out.html` writes.
import "maplibre-gl/dist/maplibre-gl.css";
import "./styles/base.css";
import "./styles/layout.css";
import "./styles/ask.css";
import "./styles/answer.css";
import "./styles/map.css";
import { App } from "./app";
import { byId } from "./dom";
import { embeddedAnswers } from "./embedded";
import { Globe } from "./map/globe";
import { startTheme } from "./theme";

const theme = startTheme((chosen) => globe?.setTheme(chosen));
const app = new App(embeddedAnswers());
app.start();

let globe: Globe | null = null;
Globe.create(byId("map"), theme).then(
  (created) => {
    globe = created;
    app.useGlobe(created);
    Object.assign(window, { earthclip: { map: created.map } }); // for the console, and for the tests of the page
  },
  (error: unknown) => {
    // No WebGL: the list beside the map says all that the map would.
    byId("map-section").dataset.state = "failed";
    byId("map").textContent = "The map cannot be drawn in this browser. The places are listed beside it.";
    console.warn(error);
  },
);
