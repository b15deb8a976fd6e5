// node draw.mjs PAGE.json PICTURE.png: draws the answers in PAGE.json; exit 1 if a panel can't be.
//
// Needs `npm ci` here once, and a Chromium: /usr/bin/chromium, or the one in $CHROMIUM.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const here = dirname(fileURLToPath(import.meta.url));
const [source, picture] = process.argv.slice(2);
const page = JSON.parse(await readFile(source, 'utf8'));
const folder = await mkdtemp(join(tmpdir(), 'headrace-picture-'));
const faults = [];

// A default export that esbuild, keeping to Node's rules, would hand on wrapped in an object.
const unwrapped = {
  name: 'unwrapped',
  setup(plugin) {
    plugin.onResolve({ filter: /^react-custom-scrollbars-2$/ }, (asked) =>
      asked.namespace === 'unwrapped' ? undefined : { path: asked.path, namespace: 'unwrapped' });
    plugin.onLoad({ filter: /.*/, namespace: 'unwrapped' }, (asked) => ({
      contents: `export { default } from '${asked.path}'`, loader: 'js', resolveDir: here,
    }));
  },
};

try {
  await build({
    entryPoints: [join(here, 'page.jsx')], bundle: true, outfile: join(folder, 'page.js'),
    format: 'iife', jsx: 'automatic', logLevel: 'error', plugins: [unwrapped], define: { 'process.env.NODE_ENV': '"production"' },
    loader: { '.svg': 'text', '.woff2': 'empty', '.woff': 'empty', '.ttf': 'empty' },
  });
  await writeFile(join(folder, 'page.html'),
    '<!doctype html><meta charset="utf-8"><link rel="stylesheet" href="page.css"><div id="page"></div>'
    + `<script>window.PAGE = ${JSON.stringify(page).replaceAll('<', '\\u003c')}</script>`
    + '<script src="page.js"></script>');
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--allow-file-access-from-files'],
  });
  const shot = await browser.newPage({
    viewport: { width: page.width + 24, height: 1000 }, deviceScaleFactor: page.scale,
  });
  // Icons are asked of a server that is not there; they are in the package.
  await shot.route('**/img/icons/**', (route) => route.fulfill({
    path: join(here, 'node_modules/@grafana/ui/dist/public', route.request().url().replace(/^.*?(?=img\/icons)/, '')),
  }));
  shot.on('pageerror', (error) => faults.push(error.stack ?? String(error)));
  shot.on('console', (line) => line.type() === 'error' && line.text().includes(': Error') && faults.push(line.text()));
  shot.on('console', (line) => process.env.LOUD && console.log(line.text()));
  await shot.goto(pathToFileURL(join(folder, 'page.html')).href);
  await shot.waitForFunction(() => document.title === 'drawn', null, { timeout: 60_000 });
  const undrawn = await shot.getByText("can't be drawn").count();
  if (undrawn) faults.push(`${undrawn} panels can't be drawn`);
  await shot.locator('#page').screenshot({ path: picture });
  await browser.close();
} finally {
  await rm(folder, { recursive: true, force: true });
}
for (const fault of faults) console.error(fault);
process.exit(faults.length ? 1 : 0);
