const MOST = 80;

/** A value of the config as a message may show it. What a map or a list holds is never shown: a secret may be among it. */
export function quoted(value: unknown): string {
  if (value === null) return 'empty';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map';
  const text = JSON.stringify(value) ?? String(value);
  return text.length > MOST ? `${text.slice(0, MOST)}…` : text;
}
