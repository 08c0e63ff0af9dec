interface Source {
  source?: string;
}

/** Of ES2025, and in Node 24; TypeScript's library does not know them yet. */
const exact = JSON as unknown as {
  rawJSON(text: string): object;
  parse(text: string, reviver: (key: string, value: unknown, context: Source) => unknown): unknown;
};

/** A number that JSON shall show digit by digit: system identifiers do not fit a double. */
export type Digits = object;

export const digits = (text: string): Digits => exact.rawJSON(text);

const IDENTIFIERS = new Set(['system_identifier', 'SystemIdentifier']);

/** Parses JSON and keeps system identifiers digit by digit. @throws SyntaxError */
export const parseExact = (text: string): unknown =>
  exact.parse(text, (key, value, { source }) => (IDENTIFIERS.has(key) && typeof value === 'number' && source ? digits(source) : value));
