import assert from "node:assert/strict";

const css = Deno.readTextFileSync(new URL("../../../src/web/page/page.css", import.meta.url));

/** Of both schemes: the colours by their names. */
function colours(): Record<string, string>[] {
  return [...css.matchAll(/:root \{(.*?)\}/gs)].map(([, block]) =>
    Object.fromEntries(
      [...block.matchAll(/--(\w+): (#[0-9a-f]{6})/g)].map(([, name, value]) => [name, value]),
    )
  );
}

/** https://www.w3.org/TR/WCAG22/#dfn-relative-luminance */
function luminance(colour: string): number {
  const [red, green, blue] = channels(colour).map((value) =>
    value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4
  );
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

const channels = (colour: string) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16) / 255);

function contrast(one: string, other: string): number {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

Deno.test("what is written has enough contrast for WCAG's level AA, in light and in dark", () => {
  const schemes = colours();
  assert.equal(schemes.length, 2);
  for (const scheme of schemes) {
    for (const ink of ["ink", "quiet", "fast", "tcp", "bad", "mark"]) {
      for (const paper of ["paper", "panel"]) {
        const found = contrast(scheme[ink], scheme[paper]);
        assert.ok(found >= 4.5, `${ink} on ${paper}: ${found.toFixed(2)}`);
      }
    }
  }
});

Deno.test("the two ways differ also for who sees no red, no green, or no blue", () => {
  // Viénot, Brettel and Mollon, 1999, and for blue Brettel's plane: what is left of red, green and blue.
  const kinds = {
    protanopia: [[0.11, 0.89, 0], [0.11, 0.89, 0], [0, 0, 1]],
    deuteranopia: [[0.29, 0.71, 0], [0.29, 0.71, 0], [-0.02, 0.02, 1]],
    tritanopia: [[1, 0.13, -0.13], [0, 0.87, 0.13], [0, 0.87, 0.13]],
  };
  for (const { fast, tcp } of colours()) {
    for (const [kind, rows] of Object.entries(kinds)) {
      const seen = (colour: string) =>
        rows.map((row) => row.reduce((sum, part, i) => sum + part * channels(colour)[i], 0));
      const [one, other] = [seen(fast), seen(tcp)];
      const far = Math.hypot(...one.map((value, i) => value - other[i]));
      assert.ok(far > 0.35, `${kind}: ${far.toFixed(2)} of ${fast} and ${tcp}`);
    }
  }
});
