// The rows of a plan on the map: a marker each, which is dragged to where the photo was taken.
import { type Map as MapLibre, Marker } from "maplibre-gl";
import { h } from "../dom";

/** A row; it has no marker without a position (latitude, longitude). */
export interface Planned {
  label: string;
  position: [number, number] | undefined;
  accepted: boolean;
  chosen: boolean;
}

export class PlannedMarkers {
  private markers: Marker[] = [];

  constructor(private readonly map: MapLibre) {}

  /** Shows rows in place of those before; `moved` and `choose` hear of a row's index among them. */
  show(
    rows: Planned[],
    moved: (i: number, latitude: number, longitude: number) => void,
    choose: (i: number) => void,
  ): void {
    for (const marker of this.markers) marker.remove();
    this.markers = rows.flatMap(({ label, position, accepted, chosen }, i) => {
      if (!position) return [];
      // The list beside the map says all of this, and sets positions too, so that the markers are for the pointer alone.
      const kinds = ["marker", "planned", accepted && "accepted", chosen && "chosen"].filter(Boolean).join(" ");
      const element = h("div", { class: kinds, "aria-hidden": "true", "data-row": label }, label);
      element.addEventListener("click", () => choose(i));
      const marker = new Marker({ element, draggable: true, opacityWhenCovered: "0" });
      marker.on("dragend", () => {
        const { lat, lng } = marker.getLngLat().wrap();
        moved(i, lat, lng);
      });
      return [marker.setLngLat([position[1], position[0]]).addTo(this.map)];
    });
  }
}
