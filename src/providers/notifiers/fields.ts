import * as z from 'zod';

/** Whether a resolved text is an address for HTTP. */
const isAddress = (text: string): boolean => /^https?:$/.test(URL.parse(text)?.protocol ?? '');

/** An address; a reference is resolved later. It is a secret: who knows it may write there. */
export const url = z.string().refine(text => text.includes('${') || isAddress(text), {
  error: 'is no address; allowed is http:// or https://, or a reference such as ${SLACK_URL}',
});

export const ca = z
  .string()
  .min(1)
  .optional()
  .describe(
    'PEM text of the authority that signed the certificate of the server, e.g. ${file:/etc/ssl/ca.pem}; default: those that Node trusts',
  );
