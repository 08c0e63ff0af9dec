/** Text that is HTML or XML already. */
export class Markup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type Part = Markup | string | number | undefined | readonly Part[];

const ENTITY: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };

/** Text as every reader of HTML, XML and Markdown can show it: whole code points, without control, format and unassigned characters. */
export const clean = (text: string): string => text.replace(/\r\n?/g, '\n').replace(/[^\P{C}\n\t]/gu, '\ufffd');

const escaped = (text: string): string => clean(text).replace(/[&<>"']/g, char => ENTITY[char]!);

function flat(part: Part): string {
  if (part === undefined) return '';
  if (part instanceof Markup) return part.text;
  if (typeof part === 'object') return part.map(flat).join('');
  return escaped(String(part));
}

/**
 * A template of HTML, SVG or XML. What is put in is escaped, for text and for attributes in double quotes, unless it is `Markup`; lists are
 * joined, undefined is nothing. So text of a store can never become markup.
 */
export const markup = (fixed: TemplateStringsArray, ...parts: readonly Part[]): Markup =>
  new Markup(fixed.map((text, n) => `${text}${flat(parts[n])}`).join(''));
