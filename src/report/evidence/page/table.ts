import { type Markup, markup, type Part } from '../markup.ts';

/**
 * A table with a caption for those who cannot see it. On a narrow screen each row is a card (class `cards` in the style), where a cell
 * shows its column's name; the roles keep it a table for a screen reader then.
 */
export function table(caption: string, head: readonly string[], rows: readonly (readonly Part[])[], kind: string): Markup {
  const cells = (row: readonly Part[]): Markup[] =>
    row.map((cell, n) => markup`<td role="cell" data-label="${head[n]}"><div>${cell}</div></td>`);
  return markup`<table class="cards ${kind}" role="table"><caption>${caption}</caption>
<thead role="rowgroup"><tr role="row">${head.map(word => markup`<th scope="col" role="columnheader">${word}</th>`)}</tr></thead>
<tbody role="rowgroup">
${rows.map(row => markup`<tr role="row">${cells(row)}</tr>\n`)}</tbody></table>
`;
}

/** A wide table of figures, which scrolls by itself and not with the page. */
export const figures = (caption: string, head: readonly string[], rows: readonly (readonly Part[])[]): Markup =>
  markup`<details class="figures"><summary>${caption}</summary><div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table>
<thead><tr>${head.map(word => markup`<th scope="col">${word}</th>`)}</tr></thead>
<tbody>
${rows.map(([first, ...rest]) => markup`<tr><th scope="row">${first}</th>${rest.map(cell => markup`<td>${cell}</td>`)}</tr>\n`)}</tbody></table></div></details>
`;
