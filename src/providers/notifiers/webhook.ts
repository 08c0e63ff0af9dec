import * as z from 'zod';
import { escapeFor, fill, isJson, PLACEHOLDERS, strangers } from '../../core/notify/template.ts';
import type { NotifierKind } from '../../core/notify/types.ts';
import { ca, url } from './fields.ts';
import { secretsOf, send } from './http.ts';

const JSON_TYPE = 'application/json';

/** Every value under its own name. */
const WHOLE = `{${PLACEHOLDERS.map(name => (name === 'code' || name === 'seconds' ? `"${name}":{{${name}}}` : `"${name}":"{{${name}}}"`)).join(',')}}`;

const typeOf = (headers: Readonly<Record<string, string>>): string =>
  Object.entries(headers).find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? JSON_TYPE;

const known = (text: string): boolean => strangers(text).length === 0;

const config = z
  .strictObject({
    url: url.describe('where the request goes'),
    method: z.enum(['POST', 'PUT', 'PATCH', 'GET']).default('POST'),
    headers: z
      .record(
        z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/),
        z.string().regex(/^[^\r\n\0]*$/, { error: 'holds more than one line; allowed is one' }),
      )
      .default({})
      .describe('header fields, e.g. Authorization; secrets'),
    body: z
      .string()
      .refine(known, { error: `names something between {{ and }} that there is not; allowed: ${PLACEHOLDERS.join(', ')}` })
      .optional()
      .describe('text with {{placeholders}}; values are escaped as the Content-Type wants it; default: all of them as JSON'),
    ca,
  })
  .refine(({ headers, body }) => body === undefined || escapeFor(typeOf(headers)) !== 'json' || !known(body) || isJson(body), {
    path: ['body'],
    error: 'is no JSON, and the Content-Type is; allowed is JSON with {{placeholders}} inside quotes, or another Content-Type in `headers`',
  });

/** `Bearer abc` is secret as a whole, and so is `abc`. */
const credentials = (headers: Readonly<Record<string, string>>): string[] =>
  Object.entries(headers).flatMap(([name, value]) =>
    /^(content-type|accept)$/i.test(name) ? [] : [value, ...value.split(/\s+/).slice(1)],
  );

/** Any service that takes a request. */
export const webhook: NotifierKind<z.infer<typeof config>> = {
  config,
  on: ['failure', 'partial', 'late', 'recovered'],
  secrets: settings => [...secretsOf(settings.url), ...credentials(settings.headers)],
  async send({ url: address, method, headers, body = WHOLE, ca: authority }, message, signal) {
    const type = typeOf(headers);
    const named = Object.keys(headers).some(name => name.toLowerCase() === 'content-type') ? headers : { ...headers, 'content-type': type };
    const filled = method === 'GET' ? {} : { body: fill(body, message, escapeFor(type)) };
    await send({ url: address, method, headers: named, ...filled, ca: authority }, signal);
  },
};
