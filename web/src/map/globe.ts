// The map: made once, then told which answer to show.
import type { Feature, FeatureCollection, Geometry, Polygon } from "geojson";
import {
  type GeoJSONSource,
  LngLat,
  Map as MapLibre,
  Marker,
  NavigationControl,
  ScaleControl,
  setWorkerUrl,
} from "maplibre-gl";
import workerAddress from "maplibre-gl/dist/maplibre-gl-worker.mjs?url";
import { h } from "../dom";
import { embeddedText } from "../embedded";
import { boxAround, cellRing, contains, outline, wrap } from "../sphere";
import type { Answer, CredibleArea, Region } from "../types";
import { type Drawing, draw, type Tool } from "./draw";
import { type Geography, loadGeography } from "./geography";
import { PALETTES } from "./palette";
import { type DATA_SOURCES, mapStyle } from "./style";

export type Theme = keyof typeof PALETTES;
type Source = (typeof DATA_SOURCES)[number];

const SHARE_OF_VIEW = 0.84; // of the shorter side, filled by the globe
const TILE_PX = 512;
const CLOSEST_ZOOM = 5.5; // closer, too little is around a place to know where that is

export class Globe {
  private markers: Marker[] = [];
  private readonly data = new Map<Source, FeatureCollection>();
  private readonly calm = matchMedia("(prefers-reduced-motion: reduce)");

  private constructor(
    readonly map: MapLibre,
    readonly geography: Geography,
  ) {}

  static async create(container: HTMLElement, theme: Theme): Promise<Globe> {
    const worker = embeddedText("earthclip-worker");
    // Of the same origin as the page also where that is a file; MapLibre takes it from there.
    const own = worker && URL.createObjectURL(new Blob([worker], { type: "text/javascript" }));
    setWorkerUrl(own ?? new URL(workerAddress, document.baseURI).href);
    const [geography] = await Promise.all([loadGeography(), document.fonts.load('12px "Inter Variable"')]);
    const map = new MapLibre({
      container,
      style: mapStyle(geography, PALETTES[theme]),
      center: [12, 24],
      zoom: wholeEarthZoom(container),
      maxZoom: 9,
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      cooperativeGestures: false,
    });
    map.touchZoomRotate.disableRotation();
    map.keyboard.disableRotation();
    map.addControl(new NavigationControl({ showCompass: false }), "top-right");
    map.addControl(new ScaleControl({ unit: "metric" }), "bottom-right");
    await map.once("load");
    return new Globe(map, geography);
  }

  setTheme(theme: Theme): void {
    const projection = this.map.getProjection();
    this.map.setStyle(mapStyle(this.geography, PALETTES[theme]));
    this.map.once("styledata", () => {
      if (projection) this.map.setProjection(projection);
      for (const [name, data] of this.data) this.fill(name, data);
    });
  }

  get flat(): boolean {
    return this.map.getProjection()?.type === "mercator";
  }

  setFlat(flat: boolean): void {
    this.map.setProjection({ type: flat ? "mercator" : "globe" });
  }

  /** Shows an answer, or none; `choose` hears of clicks on the numbered places. */
  show(answer: Answer | undefined, choose: (rank: number) => void): void {
    for (const marker of this.markers) marker.remove();
    this.markers = (answer?.predictions ?? []).map(({ latitude, longitude }, i) => {
      // The list beside the map says all of this, so that the markers are for the pointer alone.
      const element = h(
        "div",
        { class: "marker", "aria-hidden": "true", "data-rank": i + 1, click: () => choose(i) },
        String(i + 1),
      );
      return new Marker({ element, opacityWhenCovered: "0" }).setLngLat([longitude, latitude]).addTo(this.map);
    });
    this.markers.toReversed().forEach((marker, i) => {
      marker.getElement().style.zIndex = String(i + 1);
    });
    this.fill("surface", surfaceOf(answer));
    this.fill("half", lines(areaOf(answer, 0.5)));
    this.fill("ninety", lines(areaOf(answer, 0.9)));
    if (answer) this.frame(answer);
  }

  /** Shows where the file itself says it was taken. */
  showOwnPosition(latitude: number, longitude: number): void {
    const element = h("div", { class: "marker own", "aria-hidden": "true" });
    this.markers.push(
      new Marker({ element, opacityWhenCovered: "0" }).setLngLat([longitude, latitude]).addTo(this.map),
    );
  }

  showRegions(regions: Region[]): void {
    this.fill("region", collection(regions.flatMap((region) => (region.outline ? [region.outline] : []))));
  }

  select(rank: number, latitude: number, longitude: number): void {
    for (const [i, marker] of this.markers.entries()) marker.getElement().classList.toggle("chosen", i === rank);
    this.map.flyTo({ center: [longitude, latitude], zoom: Math.max(this.map.getZoom(), 5), ...this.pace() });
  }

  draw(tool: Tool, done: (shape: Polygon) => void, cancelled: () => void): Drawing {
    return draw(this.map, tool, (shape) => this.fill("draft", collection(shape ? [shape] : [])), done, cancelled);
  }

  /** South, west, north and east of what is to be seen. */
  view(): [number, number, number, number] {
    const bounds = this.map.getBounds();
    return [bounds.getSouth(), bounds.getWest(), bounds.getNorth(), bounds.getEast()];
  }

  /** Moves so that the likely region is in view, if it is one place of the world and not all of it. */
  private frame(answer: Answer): void {
    const best = answer.predictions[0];
    if (!best) return;
    const region = answer.credible?.find(({ mass }) => mass === 0.9)?.geometry ?? answer.credible?.[0]?.geometry;
    const places = answer.predictions.map(({ latitude, longitude }) => [longitude, latitude]);
    const box = boxAround([...(region?.coordinates.flat(2) ?? []), ...places], best.longitude);
    if (box.east - box.west > 120 || box.north - box.south > 90) {
      this.map.flyTo({
        center: [best.longitude, best.latitude],
        zoom: wholeEarthZoom(this.map.getContainer()),
        ...this.pace(),
      });
    } else {
      const corners: [LngLat, LngLat] = [new LngLat(box.west, box.south), new LngLat(box.east, box.north)];
      this.map.fitBounds(corners, { padding: 70, maxZoom: CLOSEST_ZOOM, ...this.pace() });
    }
  }

  private pace(): { duration: number } {
    return { duration: this.calm.matches ? 0 : 1400 };
  }

  private fill(name: Source, data: FeatureCollection): void {
    this.data.set(name, data);
    this.map.getSource<GeoJSONSource>(name)?.setData(data);
  }
}

/** Where the globe, whose equator is one tile long at zoom 0, just fits into its place. */
function wholeEarthZoom({ clientWidth, clientHeight }: HTMLElement): number {
  return Math.log2((SHARE_OF_VIEW * Math.min(clientWidth, clientHeight) * Math.PI) / TILE_PX) - 0.12;
}

/** Whether a place lies in the answer's region of that mass; null where the answer has no outline of it. */
export function inArea(answer: Answer, mass: number, latitude: number, longitude: number): boolean | null {
  const geometry = areaOf(answer, mass)?.geometry;
  return geometry ? contains(geometry, latitude, wrap(longitude)) : null;
}

export function areaOf(answer: Answer | undefined, mass: number): CredibleArea | undefined {
  return answer?.credible?.find((region) => region.mass === mass);
}

function surfaceOf(answer: Answer | undefined): FeatureCollection {
  const surface = answer?.surface;
  const most = surface?.probabilities[0] ?? 1;
  const features = surface?.polygons.map((corners, i): Feature => {
    const probability = surface.probabilities[i] ?? 0;
    // The root spreads the ramp over more than the few leading cells.
    const properties = { probability, strength: Math.sqrt(probability / most) };
    return { type: "Feature", properties, geometry: { type: "Polygon", coordinates: [cellRing(corners)] } };
  });
  return { type: "FeatureCollection", features: features ?? [] };
}

function lines(region: CredibleArea | undefined): FeatureCollection {
  return collection(region?.geometry ? [outline(region.geometry)] : []);
}

function collection(geometries: Geometry[]): FeatureCollection {
  return {
    type: "FeatureCollection",
    features: geometries.map((geometry) => ({ type: "Feature", properties: {}, geometry })),
  };
}
