// Builds the page into web/dist, which the program embeds. The server's content policy allows only files of its own
// origin, so nothing is inlined into the document and no module-preload helper is emitted.
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vitest/config';

const server = 'http://127.0.0.1:7865';

export default defineConfig({
  plugins: [svelte()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: false,
    cssCodeSplit: false,
  },
  server: {
    // `npm run dev` beside a running `pixelfleet serve`.
    proxy: { '/api': { target: server, ws: true } },
  },
  test: { include: ['src/**/*.test.ts'], environment: 'node' },
});
