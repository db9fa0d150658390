// Drawing a region: a box by two clicks or one drag, a polygon click by click; Escape gives up, Enter completes.
import type { Polygon, Position } from "geojson";
import type { Map as Globe, MapMouseEvent, MapTouchEvent, Point } from "maplibre-gl";

export type Tool = "box" | "polygon";

export interface Drawing {
  cancel: () => void;
  finish: () => void;
}

const DRAG_PX = 8;

/** Starts drawing; exactly one of `done` and `cancelled` is called in the end. `preview` is called with null at the end. */
export function draw(
  map: Globe,
  tool: Tool,
  preview: (shape: Polygon | null) => void,
  done: (shape: Polygon) => void,
  cancelled: () => void,
): Drawing {
  const corners: Position[] = [];
  let pressed: Point | null = null;
  let over = false;
  const shape = (next?: Position): Polygon | null => {
    const all = next ? [...corners, next] : corners;
    if (tool === "box") return all[0] && all[1] ? box(all[0], all[1]) : null;
    return all.length > 1 ? { type: "Polygon", coordinates: [[...all, all[0] as Position]] } : null;
  };

  const press = (event: MapMouseEvent | MapTouchEvent) => {
    event.preventDefault();
    pressed = event.point;
    if (tool === "box" && corners.length === 0) corners.push(position(event));
  };
  const move = (event: MapMouseEvent | MapTouchEvent) => {
    if (corners.length > 0) preview(shape(position(event)));
  };
  const release = (event: MapMouseEvent | MapTouchEvent) => {
    if (!pressed) return;
    const dragged = pressed.dist(event.point) > DRAG_PX;
    pressed = null;
    if (tool === "box") {
      // The first click's own release is no second corner.
      if (dragged || clicks > 0) complete(shape(position(event)));
      else clicks++;
    } else if (!dragged) {
      const first = corners[0];
      const closes = first && corners.length > 2 && map.project(first as [number, number]).dist(event.point) < 12;
      if (closes) complete(shape());
      else {
        corners.push(position(event));
        preview(shape());
      }
    }
  };
  let clicks = 0;
  const twice = (event: MapMouseEvent) => {
    event.preventDefault();
    finish();
  };
  const typed = (event: KeyboardEvent) => {
    if (event.key === "Escape") end(cancelled);
    else if (event.key === "Enter" && document.activeElement === map.getCanvas()) finish();
  };

  function complete(drawn: Polygon | null): void {
    if (drawn) end(() => done(drawn));
  }
  function finish(): void {
    if (tool === "polygon" && corners.length > 2) complete(shape());
  }
  function end(then: () => void): void {
    if (over) return;
    over = true;
    for (const subscription of subscriptions) subscription.unsubscribe();
    document.removeEventListener("keydown", typed);
    map.getCanvas().classList.remove("drawing");
    map.dragPan.enable();
    preview(null);
    then();
  }

  map.dragPan.disable();
  map.getCanvas().classList.add("drawing");
  const subscriptions = [
    map.on("mousedown", press),
    map.on("touchstart", press),
    map.on("mousemove", move),
    map.on("touchmove", move),
    map.on("mouseup", release),
    map.on("touchend", release),
    map.on("dblclick", twice),
  ];
  document.addEventListener("keydown", typed);
  return { cancel: () => end(cancelled), finish };
}

/** A box as a ring, with corners enough that its parallels stay parallels on a globe. */
export function box([x0 = 0, y0 = 0]: Position, [x1 = 0, y1 = 0]: Position): Polygon | null {
  const [west, east, south, north] = [Math.min(x0, x1), Math.max(x0, x1), Math.min(y0, y1), Math.max(y0, y1)];
  if (west === east || south === north) return null;
  const steps = Math.max(1, Math.ceil((east - west) / 5));
  const along = Array.from({ length: steps + 1 }, (_, i) => west + ((east - west) * i) / steps);
  const ring = [...along.map((x) => [x, south]), ...along.reverse().map((x) => [x, north]), [west, south]];
  return { type: "Polygon", coordinates: [ring] };
}

function position(event: MapMouseEvent | MapTouchEvent): Position {
  return [event.lngLat.lng, event.lngLat.lat];
}
