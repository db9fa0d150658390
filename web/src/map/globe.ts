// The map: made once, then told which answer to show.
import type { Feature, FeatureCollection, Geometry, Polygon, Position } from "geojson";
import {
  type Coordinates,
  type GeoJSONSource,
  LngLat,
  Map as MapLibre,
  Marker,
  NavigationControl,
  ScaleControl,
  type Subscription,
  setWorkerUrl,
} from "maplibre-gl";
import workerAddress from "maplibre-gl/dist/maplibre-gl-worker.mjs?url";
import { h } from "../dom";
import { embeddedPart } from "../embedded";
import { boxAround, contains, outline, rounded, wrap } from "../sphere";
import type { Answer, CredibleArea, Region, Subject, Surface } from "../types";
import { type Drawing, draw, type Tool } from "./draw";
import { type Geography, loadGeography } from "./geography";
import { PALETTES } from "./palette";
import { PlannedMarkers } from "./planned";
import { type DATA_SOURCES, mapStyle, SURFACES } from "./style";
import { coloured } from "./surface";

export type Theme = keyof typeof PALETTES;
type Source = (typeof DATA_SOURCES)[number] | "overview";

const SHARE_OF_VIEW = 0.84; // of the shorter side, filled by the globe
const TILE_PX = 512;
const CLOSEST_ZOOM = 5.5; // closer, too little is around a place to know where that is

export class Globe {
  private markers: Marker[] = [];
  private surface: Surface | undefined;
  private clicks: Subscription | undefined;
  private readonly data = new Map<Source, FeatureCollection>();
  readonly planned: PlannedMarkers;
  private readonly calm = matchMedia("(prefers-reduced-motion: reduce)");

  private constructor(
    readonly map: MapLibre,
    readonly geography: Geography,
    private theme: Theme,
  ) {
    this.planned = new PlannedMarkers(map);
  }

  static async create(container: HTMLElement, theme: Theme): Promise<Globe> {
    const worker = await embeddedPart("earthclip-worker");
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
    return new Globe(map, geography, theme);
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    const projection = this.map.getProjection();
    this.map.setStyle(mapStyle(this.geography, PALETTES[theme]));
    this.map.once("styledata", () => {
      if (projection) this.map.setProjection(projection);
      for (const [name, data] of this.data) this.fill(name, data);
      void this.drawSurface();
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
    this.surface = answer?.surface;
    void this.drawSurface();
    this.fill("half", lines(areaOf(answer, 0.5)));
    this.fill("ninety", lines(areaOf(answer, 0.9)));
    if (answer) this.frame(answer);
  }

  /** Shows many subjects at their best places, those that are near together as one; `choose` hears of clicks. */
  showOverview(subjects: Subject[], choose: (subject: Subject) => void): void {
    const features = subjects.flatMap((subject): Feature[] => {
      const [latitude, longitude] = subject.best ?? [];
      if (latitude === undefined || longitude === undefined) return [];
      const geometry = { type: "Point" as const, coordinates: [longitude, latitude] };
      return [{ type: "Feature", properties: { id: subject.id }, geometry }];
    });
    this.fill("overview", { type: "FeatureCollection", features });
    this.clicks = this.map.on("click", "overview", async ({ features: [clicked] = [] }) => {
      const { id, cluster_id } = clicked?.properties ?? {};
      const chosen = subjects.find((subject) => subject.id === id);
      if (chosen) choose(chosen);
      else if (clicked?.geometry.type === "Point") {
        const zoom = await this.map.getSource<GeoJSONSource>("overview")?.getClusterExpansionZoom(cluster_id);
        const [longitude = 0, latitude = 0] = clicked.geometry.coordinates;
        this.map.flyTo({ center: [longitude, latitude], zoom: zoom ?? CLOSEST_ZOOM, ...this.pace() });
      }
    });
    this.map.flyTo({ zoom: wholeEarthZoom(this.map.getContainer()), ...this.pace() });
  }

  hideOverview(): void {
    this.clicks?.unsubscribe();
    this.fill("overview", collection([]));
  }

  /** Moves so that all positions (latitude, longitude) are in view, if they are not all over the world. */
  frameAll(positions: [number, number][]): void {
    const [first] = positions;
    if (first)
      this.frameBox(
        positions.map(([latitude, longitude]) => [longitude, latitude]),
        first,
      );
  }

  /** Moves to a position, as close as a marker is placed from. */
  goTo([latitude, longitude]: [number, number]): void {
    this.map.flyTo({ center: [longitude, latitude], zoom: Math.max(this.map.getZoom(), 5), ...this.pace() });
  }

  /** Latitude and longitude of the middle. */
  middle(): [number, number] {
    const { lat, lng } = this.map.getCenter().wrap();
    return [lat, lng];
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
    this.goTo([latitude, longitude]);
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
    this.frameBox([...(region?.coordinates.flat(2) ?? []), ...places], [best.latitude, best.longitude]);
  }

  /** Moves so that positions of GeoJSON are in view, or the whole globe around `middle` (latitude, longitude). */
  private frameBox(positions: Position[], [latitude, longitude]: [number, number]): void {
    const box = boxAround(positions, longitude);
    if (box.east - box.west > 120 || box.north - box.south > 90) {
      this.map.flyTo({
        center: [longitude, latitude],
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

  private async drawSurface(): Promise<void> {
    const { surface, theme } = this;
    const images = surface?.images ?? [];
    const addresses = await Promise.all(images.map((image) => coloured(image, PALETTES[theme])));
    if (surface !== this.surface || theme !== this.theme) return; // another one is drawn already
    for (const [i, name] of SURFACES.entries()) {
      if (this.map.getLayer(name)) this.map.removeLayer(name);
      if (this.map.getSource(name)) this.map.removeSource(name);
      const [image, url] = [images[i], addresses[i]];
      if (!image || !url) continue;
      const { south, west, east, north } = image;
      const coordinates: Coordinates = [
        [west, north],
        [east, north],
        [east, south],
        [west, south],
      ];
      this.map.addSource(name, { type: "image", url, coordinates });
      const paint = { "raster-resampling": "linear", "raster-fade-duration": 0 } as const;
      this.map.addLayer({ id: name, source: name, type: "raster", paint }, "borders");
    }
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

function lines(region: CredibleArea | undefined): FeatureCollection {
  return collection(region?.geometry ? [rounded(outline(region.geometry))] : []);
}

function collection(geometries: Geometry[]): FeatureCollection {
  return {
    type: "FeatureCollection",
    features: geometries.map((geometry) => ({ type: "Feature", properties: {}, geometry })),
  };
}
