// Numbers for people, with no more digits than they can mean.
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const rounded = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const LAND_KM2 = 148_940_000;

export function percent(probability: number): string {
  const value = probability * 100;
  if (value > 0 && value < 0.1) return "< 0.1 %";
  return value > 99.9 && value < 100 ? "> 99.9 %" : `${value.toFixed(value < 10 ? 1 : 0)} %`;
}

export function kilometres(km: number): string {
  if (km < 1) return `${whole.format(km * 1000)} m`;
  return `${km < 10 ? km.toFixed(1) : rounded.format(km)} km`;
}

export function area(km2: number): string {
  if (km2 >= 1e6) return `${rounded.format(km2 / 1e6)} million km²`;
  return km2 < 10 ? `${km2.toPrecision(2)} km²` : `${rounded.format(km2)} km²`;
}

/** An area of a place that is not known: one digit, since more would look like knowledge. */
export function about(km2: number): string {
  return `about ${area(Number(km2.toPrecision(1)))}`;
}

/** "0.3 % of the size of all land": an area that needs no atlas to imagine. */
export function shareOfLand(km2: number): string {
  const share = (100 * km2) / LAND_KM2;
  if (share < 0.001) return "less than a hundred-thousandth of all land";
  return `${share >= 1 ? share.toFixed(0) : share.toPrecision(1)} % of the size of all land`;
}

export function coordinates(latitude: number, longitude: number, digits = 3): string {
  const ns = latitude < 0 ? "S" : "N";
  const ew = longitude < 0 ? "W" : "E";
  return `${Math.abs(latitude).toFixed(digits)}° ${ns}, ${Math.abs(longitude).toFixed(digits)}° ${ew}`;
}

export function bytes(count: number): string {
  return count < 1000
    ? `${count} bytes`
    : count < 1e6
      ? `${Math.round(count / 1000)} kB`
      : `${(count / 1e6).toFixed(1)} MB`;
}
