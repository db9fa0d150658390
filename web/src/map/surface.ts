// The surface of probability: a grey image that the server made, in the colours of the theme.
import type { SurfaceImage } from "../types";
import type { Palette } from "./palette";

/** The image in colours, as an address in this page; clear where there is next to nothing. */
export async function coloured({ url }: SurfaceImage, { ramp }: Palette): Promise<string> {
  const image = new Image();
  image.src = url;
  await image.decode();
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d");
  if (!context) return url;
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
  const colours = table(ramp);
  for (let at = 0; at < pixels.data.length; at += 4) pixels.data.set(colours[pixels.data[at] ?? 0] ?? [], at);
  context.putImageData(pixels, 0, 0);
  const blob = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve));
  return blob ? URL.createObjectURL(blob) : url;
}

/** Red, green, blue and opacity of each of 256 strengths. */
function table(ramp: string[]): number[][] {
  const stops = ramp.map((colour) => [1, 3, 5].map((at) => Number.parseInt(colour.slice(at, at + 2), 16)));
  return Array.from({ length: 256 }, (_, grey) => {
    const strength = grey / 255;
    const at = strength * (stops.length - 1);
    const low = Math.min(Math.floor(at), stops.length - 2);
    const mixed = [0, 1, 2].map((i) => {
      const [a = 0, b = 0] = [stops[low]?.[i], stops[low + 1]?.[i]];
      return Math.round(a + (b - a) * (at - low));
    });
    const opacity = Math.min(Math.max((strength - 0.05) / 0.15, 0), 1) * (0.55 + 0.35 * strength);
    return [...mixed, Math.round(255 * opacity)];
  });
}
