import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { marked, type Token, type Tokens } from 'marked';
import { inline, markdown } from '../../../src/report/evidence/markdown.ts';
import { clean } from '../../../src/report/evidence/markup.ts';
import { all, parse, textOf } from './dom.ts';
import { HOSTILE, spoiltMaterial } from './hostile.ts';
import { eighteen, material } from './samples.ts';

/** Kinds of tokens in order, all the way down, without those that only carry text. */
function kinds(text: string): string[] {
  const found: string[] = [];
  marked.walkTokens(marked.lexer(text, { gfm: true }), (token: Token) => {
    if (!['text', 'escape', 'space'].includes(token.type)) found.push(token.type);
  });
  return found;
}

const tables = (text: string): Tokens.Table[] => marked.lexer(text).filter((token): token is Tokens.Table => token.type === 'table');

describe('Markdown', () => {
  it('says the result in its heading and has a row per target', () => {
    const text = markdown(material());
    expect(text).toMatch(/^## ✅ Drill passed: full-dr of production, tried in staging\n/);
    expect(text).toMatch(/Begun 2026-11-01 04:00:\d\dZ \(27 d ago\)/);
    const [targets, checks] = tables(text);
    expect(targets!.rows.length).toBe(5);
    expect(targets!.rows.map(row => row[1]!.text)).toContain('postgres/app');
    expect(checks!.rows.length).toBe(15);
    expect(text).not.toContain('What did not pass');
  });

  it('names what did not pass, with what mends it as it is typed', () => {
    const text = markdown(material({ drills: eighteen().slice(0, 11) }));
    expect(text).toMatch(/^## ❌ Drill failed/);
    const [list] = marked.lexer(text).filter((token): token is Tokens.List => token.type === 'list');
    const code = list!.items[0]!.tokens.find((token): token is Tokens.Code => token.type === 'code');
    expect(code!.text).toBe(eighteen()[10]!.targets[1]!.checks[1]!.mend);
    expect(text).toContain('postgres/app, which it waits for, did not come back');
  });

  it('of no drill says that nothing is proven, and names what was left out', () => {
    const text = markdown(material({ drills: [], leftOut: ['store b2 does not answer'] }));
    expect(text).toMatch(/^## ⚠️ No drill of production yet/);
    expect(text).toContain('- ⚠️ store b2 does not answer');
  });

  it('shows any text as it is, and as nothing but text', () => {
    const any = fc.oneof(
      fc.string({ unit: fc.constantFrom(...'ab1 *_`~[]()<>!#|\\&@:/.-+=$^"\'\n') }),
      fc.string({ unit: 'binary' }),
      fc.constantFrom(...HOSTILE),
    );
    fc.assert(
      fc.property(any, text => {
        const source = `| x | ${inline(text)} |\n| --- | --- |\n`;
        const cell = all(parse(marked.parse(source) as string), 'th')[1]!;
        expect(cell.childNodes.every(({ nodeName }) => nodeName === '#text')).toBe(true);
        expect(textOf(cell)).toBe(clean(text).replace(/\s+/g, ' ').trim());
      }),
      { numRuns: 500 },
    );
  });

  it.each(HOSTILE)('%j changes nothing of what it is made of', text => {
    expect(kinds(markdown(spoiltMaterial(text)))).toEqual(kinds(markdown(spoiltMaterial('x'))));
  });
});
