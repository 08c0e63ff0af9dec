/** A text as a YAML scalar: plain where it cannot be taken for anything else. */
export const quoteYaml = (text: string): string =>
  /^[A-Za-z/][\w./-]*$/.test(text) && !/^(true|false|null|yes|no|on|off|y|n)$/i.test(text) ? text : JSON.stringify(text);
