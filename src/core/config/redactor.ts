/** A secret as it stands in text, in addresses and in JSON, whole and line by line. */
const spellings = (value: string): string[] =>
  [value, ...value.split('\n')].flatMap(each => [
    each,
    encodeURIComponent(each.replace(/\p{Surrogate}/gu, '\ufffd')),
    JSON.stringify(each).slice(1, -1),
  ]);

/**
 * A function that replaces the values by `[redacted]`, the longest first. Values under 4 characters are left, for they would take
 * ordinary words with them. What is added to the iterable later counts too.
 */
export function redactor(values: Iterable<string>): (text: string) => string {
  return text =>
    [...new Set([...values].flatMap(spellings))]
      .filter(value => value.trim().length >= 4)
      .sort((a, b) => b.length - a.length)
      .reduce((all, value) => all.replaceAll(value, '[redacted]'), text);
}
