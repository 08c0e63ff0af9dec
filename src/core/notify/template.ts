import type { Message } from './types.ts';

/** What `{{…}}` may name. */
export const PLACEHOLDERS = [
  'event',
  'env',
  'target',
  'verb',
  'exit',
  'code',
  'title',
  'message',
  'id',
  'seconds',
  'host',
  'at',
  'run',
] as const satisfies readonly (keyof Message)[];

/** How a value is written so that it stays one value where it stands. */
export type Escape = 'json' | 'form' | 'none';

const WRITE: Readonly<Record<Escape, (text: string) => string>> = {
  json: text => JSON.stringify(text).slice(1, -1),
  form: encodeURIComponent,
  none: text => text,
};

const TOKEN = /\{\{([^{}]*)\}\}/g;

/** How values are escaped in a body of a media type, such as `application/json; charset=utf-8`. */
export function escapeFor(type: string): Escape {
  const bare = type.split(';')[0]!.trim().toLowerCase();
  if (bare === 'application/json' || bare.endsWith('+json')) return 'json';
  return bare === 'application/x-www-form-urlencoded' ? 'form' : 'none';
}

/** Names between double braces that stand for nothing. */
export const strangers = (template: string): string[] =>
  [...template.matchAll(TOKEN)].map(match => match[1]!.trim()).filter(name => !(PLACEHOLDERS as readonly string[]).includes(name));

/** The template with every `{{name}}` replaced; what is inside a value is not looked at again. */
export const fill = (template: string, message: Message, by: Escape): string =>
  template.replace(TOKEN, (_, name: string) => WRITE[by](String(message[name.trim() as (typeof PLACEHOLDERS)[number]])));

/** Whether a template for JSON gives JSON, whatever the values are. References of the config count as text. */
export function isJson(template: string): boolean {
  try {
    JSON.parse(template.replace(TOKEN, '0').replace(/\$\{[^}]*\}/g, '0'));
    return true;
  } catch {
    return false;
  }
}
