import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { renderReport } from '../../../src/report/evidence/index.ts';
import { clean, markup } from '../../../src/report/evidence/markup.ts';
import { all, attribute, elements, parse, skeleton, textOf } from './dom.ts';
import { HOSTILE, spoiltMaterial } from './hostile.ts';

const anyText = fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.constantFrom(...HOSTILE));

describe('markup', () => {
  it('shows any text as it is, in a text and in an attribute', () => {
    fc.assert(
      fc.property(anyText, text => {
        const page = parse(markup`<!doctype html><body><p title="${text}">${text}</p></body>`.text);
        const [paragraph, ...others] = all(page, 'p');
        expect(others).toEqual([]);
        expect(attribute(paragraph!, 'title')).toBe(clean(text));
        expect(textOf(paragraph!)).toBe(clean(text));
        expect(elements(page).map(({ tagName }) => tagName)).toEqual(['html', 'head', 'body', 'p']);
      }),
    );
  });

  it('joins lists, leaves out what is not there, and takes markup as it is', () => {
    expect(markup`<ul>${['<', markup`<li>${1}</li>`]}${undefined}</ul>`.text).toBe('<ul>&lt;<li>1</li></ul>');
  });

  it('has no control characters, overrides of direction or halves of characters', () => {
    expect(clean('a\r\nb\tc\u0000\u202e\ud800é😀')).toBe('a\nb\tc\ufffd\ufffd\ufffdé😀');
  });
});

describe('a page of hostile texts', () => {
  const harmless = skeleton(renderReport(spoiltMaterial('')).html);

  it.each(HOSTILE)('%j changes nothing of what the page is made of', text => {
    expect(skeleton(renderReport(spoiltMaterial(text)).html)).toBe(harmless);
  });

  it('nor does any other text', () => {
    fc.assert(
      fc.property(anyText, text => {
        expect(skeleton(renderReport(spoiltMaterial(text)).html)).toBe(harmless);
      }),
      { numRuns: 15 },
    );
  });
});
