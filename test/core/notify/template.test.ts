import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { escapeFor, fill, isJson, PLACEHOLDERS, strangers } from '../../../src/core/notify/template.ts';
import { aMessage } from './message.ts';

const text = fc.string({ unit: 'binary' });

it('JSON: whatever the values are, they come back as they were', () => {
  fc.assert(
    fc.property(text, text, (title, message) => {
      const body = fill('{"t":"{{title}}","list":["{{ message }}"],"n":{{code}}}', aMessage({ title, message, code: 7 }), 'json');
      expect(JSON.parse(body)).toEqual({ t: title, list: [message], n: 7 });
    }),
  );
});

it('a form: whatever the values are, they come back as they were', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), message => {
      const body = new URLSearchParams(fill('a={{message}}&b={{host}}', aMessage({ message, host: 'x&y=z' }), 'form'));
      expect([body.get('a'), body.get('b')]).toEqual([message, 'x&y=z']);
    }),
  );
});

it('a value that looks like a placeholder is text', () => {
  expect(fill('{{title}} {{message}}', aMessage({ title: '{{message}}', message: '{{host}} $& $1' }), 'none')).toBe(
    '{{message}} {{host}} $& $1',
  );
});

it('what there is not is named, and every name that there is has a value', () => {
  expect(strangers('{{title}} {{ exit }} {{exit code}} {{}} {{constructor}} {single}')).toEqual(['exit code', '', 'constructor']);
  const all = PLACEHOLDERS.map(name => `{{${name}}}`).join('|');
  expect(strangers(all)).toEqual([]);
  expect(fill(all, aMessage(), 'none')).not.toMatch(/undefined|\{\{/);
});

it('the media type says how', () => {
  const types = [
    'application/json',
    'Application/JSON; charset=utf-8',
    'application/vnd.x+json',
    'application/x-www-form-urlencoded',
    'text/plain',
  ];
  expect(types.map(escapeFor)).toEqual(['json', 'json', 'json', 'form', 'none']);
  expect([isJson('{"a":"{{title}}","k":"${KEY}"}'), isJson('{"a":{{seconds}}}'), isJson('{"a":"{{title}}"')]).toEqual([true, true, false]);
});
