// Whether pages are accessible, measured: the rules of axe-core for WCAG 2.1
// A and AA on every state of a page that a person sees, light, dark and in a
// narrow window, in which nothing may have to be scrolled sideways (1.4.10).
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const rules = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'];
const wide = { width: 900, height: 670 };

const views = [
  ['light', 'light', wide],
  ['dark', 'dark', wide],
  ['narrow', 'light', { width: 320, height: 640 }],
];

const seen = new Set();

// broken are the rules that were broken so far, with where.
export const broken = [];

// accessible notes what rules a state breaks, once for each name.
export async function accessible(page, name) {
  if (seen.has(name)) return;
  seen.add(name);
  await page.evaluate(`(() => { if (!window.axe) { ${axe} } })()`); // no script element: the pages' policy has no place for one
  for (const [view, colorScheme, size] of views) {
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await page.setViewportSize(size);
    const found = await page.evaluate((values) => window.axe.run(document, { runOnly: { type: 'tag', values }, resultTypes: ['violations'] }), rules);
    for (const { id, help, nodes } of found.violations) broken.push(`${name}, ${view}: ${id} (${help}) at ${nodes.map((n) => n.target.join(' ')).join(', ')}`);
    const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
    if (over > 0) broken.push(`${name}, ${view}: ${over} pixels to scroll sideways`);
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null });
  await page.setViewportSize(wide);
}

// accessibleStates are the names of what was measured.
export const accessibleStates = () => [...seen].sort();
