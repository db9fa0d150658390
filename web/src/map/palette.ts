// The map's colours in both themes. The ramps are single-hued at their ends and even in lightness, so that they read
// the same to colour-blind eyes: light follows "YlOrRd" into purple, dark follows "magma".
export interface Palette {
  ocean: string;
  land: string;
  coast: string;
  border: string;
  label: string;
  halo: string;
  seaLabel: string;
  graticule: string;
  outline: string;
  region: string;
  ramp: string[];
}

export const PALETTES: Record<"light" | "dark", Palette> = {
  light: {
    ocean: "#d9e4e8",
    land: "#f8f6f0",
    coast: "#9fb2ba",
    border: "#cfc9bc",
    label: "#48505b",
    halo: "#f8f6f0",
    seaLabel: "#7f98a4",
    graticule: "#c5d4da",
    outline: "#57123f",
    region: "#0a6682",
    ramp: ["#fdd49e", "#fc9a5b", "#e5533d", "#b3205b", "#57123f"],
  },
  dark: {
    ocean: "#0e161c",
    land: "#202b33",
    coast: "#41525e",
    border: "#35434d",
    label: "#c3ccd3",
    halo: "#172027",
    seaLabel: "#4f6675",
    graticule: "#18242c",
    outline: "#fde3c0",
    region: "#6cc7de",
    ramp: ["#4a1a5c", "#8c2981", "#d6456c", "#fb8861", "#fde9b5"],
  },
};
