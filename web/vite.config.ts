import { defineConfig } from "vite";

export default defineConfig({
  base: "./", // the page may be served under any path, behind a proxy too
  resolve: { alias: { "/examples": new URL("../examples", import.meta.url).pathname } },
  server: { fs: { allow: [".."] }, proxy: { "/v1": "http://127.0.0.1:8000" } },
  build: {
    outDir: "../src/earthclip/outputs/static",
    emptyOutDir: true,
    manifest: "manifest.json", // outputs/html_map.py finds the parts of its self-contained file by it
    modulePreload: false,
    assetsInlineLimit: 0,
    target: "es2022",
    chunkSizeWarningLimit: 1500,
  },
});
