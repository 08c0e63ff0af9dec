import type { ReportMaterial } from '../../../core/reportMaterial.ts';
import { type Markup, markup } from '../markup.ts';
import { time } from '../words.ts';
import { checksOf } from './checks.ts';
import { hero } from './hero.ts';
import { history } from './history.ts';
import { rpoOverTime, rtoOverTime, sizesOverTime } from './overTime.ts';
import { STYLE } from './style.ts';
import { targetTable } from './targets.ts';

/** Nothing is loaded and nothing runs: what text of a store might become in spite of all can do nothing. */
const POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

const left = ({ leftOut }: ReportMaterial): Markup | undefined =>
  leftOut.length === 0
    ? undefined
    : markup`<section class="left" role="note"><h2>Left out</h2><p>This could not be read or believed, and is missing on this page:</p><ul>${leftOut.map(
        text => markup`<li>${text}</li>`,
      )}</ul></section>
`;

/** One page, whole in itself: no script, no font and no picture from elsewhere; for light, dark, narrow and paper. */
export function page(material: ReportMaterial): string {
  const { drills, env, at, tool } = material;
  const drill = drills.at(-1);
  return markup`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${POLICY}"><meta name="viewport" content="width=device-width, initial-scale=1"><meta name="referrer" content="no-referrer"><meta name="color-scheme" content="light dark"><title>Drills of ${env}</title>
<style>${STYLE}</style></head>
<body><header><h1>Drills of ${env}</h1><p class="small">made ${time(at)} by ${tool}</p></header>
<main>${hero(material)}${left(material)}${drill ? [targetTable(drill), checksOf(drill)] : undefined}${
    drill ? [rtoOverTime(material), rpoOverTime(material)] : undefined
  }${sizesOverTime(material)}${history(material)}</main>
<footer class="small"><p>All times are UTC. Drills and backups are from records in the stores whose signatures were checked when this page was made; the page itself is not signed. <code>bkp report</code> makes it anew.</p></footer></body></html>
`.text;
}
