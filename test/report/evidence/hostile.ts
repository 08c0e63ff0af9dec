import type { Evidence } from '../../../src/core/evidence.ts';
import type { ReportMaterial } from '../../../src/core/reportMaterial.ts';
import { drill, material, sizes } from './samples.ts';

/** What somebody who can write into a store would try. */
export const HOSTILE = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onload='alert(1)",
  '</style></title></svg><script>alert(1)</script>',
  ']]><!-- --> <?php ?> <![CDATA[',
  '&lt;b&gt; &amp; &#60;',
  '\u202egnp.exe\u0000\u0007\ud800',
  '| a | b |\n| - | - |\n# heading\n- item\n\n```\ncode',
  '[x](https://example.org) ![y](https://example.org/z.png) <https://example.org> https://example.org www.example.org **b** `c` ~~d~~',
  '` `` ``` ````',
  '\\',
];

/** Every text of a drill that its writer chooses, with `text` at its end. */
const spoilt = (evidence: Evidence, text: string): Evidence => ({
  ...evidence,
  env: `${evidence.env}${text}`,
  drilledIn: `${evidence.drilledIn}${text}`,
  scope: `${evidence.scope}${text}`,
  tool: `${evidence.tool}${text}`,
  targets: evidence.targets.map(target => ({
    ...target,
    kind: `${target.kind}${text}`,
    name: `${target.name}${text}`,
    engine: `${target.engine}${text}`,
    ...(target.store === undefined ? {} : { store: `${target.store}${text}` }),
    ...(target.skipped === undefined ? {} : { skipped: `${target.skipped}${text}` }),
    checks: target.checks.map(check => ({
      ...check,
      name: `${check.name}${text}`,
      text: `${check.text}${text}`,
      ...(check.mend === undefined ? {} : { mend: `${check.mend}${text}` }),
    })),
  })),
});

const FEW = sizes.filter((_, n) => n % 40 === 0);

/** Two drills, the newest failed, all of whose texts end in `text`. */
export function spoiltMaterial(text: string): ReportMaterial {
  return material({
    env: `production${text}`,
    at: '2025-07-28T05:00:00.000Z',
    tool: `bkp${text}`,
    drills: [drill(0), drill(1, 'failed')].map(each => spoilt(each, text)),
    sizes: FEW.map(size => ({ ...size, name: `${size.name}${text}` })),
    leftOut: [`store b2: ${text}`],
  });
}
