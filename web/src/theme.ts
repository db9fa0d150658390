// Dark and light: as the system says, until somebody chooses.
import { byId } from "./dom";
import type { Theme } from "./map/globe";

const KEY = "earthclip-theme";

/** Sets the theme and its button up; tells of every later change. */
export function startTheme(changed: (theme: Theme) => void): Theme {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const button = byId("theme");
  const chosen = () => stored() ?? (system.matches ? "dark" : "light");
  const apply = () => {
    const theme = chosen();
    document.documentElement.dataset.theme = theme;
    button.setAttribute("aria-label", theme === "dark" ? "Light theme" : "Dark theme");
    button.title = theme === "dark" ? "Light theme" : "Dark theme";
    button.replaceChildren(drawing(theme));
    return theme;
  };
  button.addEventListener("click", () => {
    store(chosen() === "dark" ? "light" : "dark");
    changed(apply());
  });
  system.addEventListener("change", () => changed(apply()));
  return apply();
}

/** Storage is refused in private windows and to files of some browsers: then the choice lasts as long as the page. */
let inMemory: Theme | null = null;

function stored(): Theme | null {
  try {
    const value = localStorage.getItem(KEY);
    return value === "dark" || value === "light" ? value : inMemory;
  } catch {
    return inMemory;
  }
}

function store(theme: Theme): void {
  inMemory = theme;
  try {
    localStorage.setItem(KEY, theme);
  } catch {
    // kept in memory
  }
}

function drawing(theme: Theme): SVGSVGElement {
  const sun =
    "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM12 2.500v2M12 19.500v2M2.5 12h2M19.5 12h2M5.3 5.300l1.4 1.400M17.3 17.300l1.4 1.400M5.3 18.700l1.4-1.400M17.3 6.700l1.4-1.4";
  const moon = "M19.5 14.500A8 8 0 0 1 9.5 4.500a8 8 0 1 0 10 10z";
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  svg.classList.add("icon");
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", theme === "dark" ? sun : moon);
  svg.append(path);
  return svg;
}
