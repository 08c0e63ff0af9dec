import { BkpError } from '../errors.ts';
import { spread } from '../spread.ts';

const refuse = (what: string, text: string, allowed: string): never => {
  throw new BkpError('usage', `"${text}" is no ${what}; allowed ${allowed}`);
};

const LABEL = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/;

/**
 * A name of an object of Kubernetes, as it is.
 * @param most greatest length: 63, and 52 for a CronJob, whose Jobs get eleven characters more
 * @throws BkpError('usage')
 */
export function objectName(text: string, most = 63): string {
  if (LABEL.test(text) && text.length <= most) return text;
  return refuse('name in Kubernetes', text, `are small letters, digits and - inside, ${most} characters at most`);
}

/**
 * A name of Kubernetes out of names of the config: as it is where that is one, else its beginning and a number that is its own, the same in
 * every run.
 * @param most greatest length, 10 at least
 */
export function fitted(text: string, most = 63): string {
  if (text.length <= most && !text.endsWith('-')) return text;
  return `${text.slice(0, most - 9).replace(/-+$/, '')}-${spread(text).toString(16).padStart(8, '0')}`;
}

/** A reference of an image, as it is. Throws BkpError('usage'). */
export const imageName = (text: string): string =>
  /^[a-z0-9][\w.-]*(:\d+)?(\/[\w.-]+)*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?$/i.test(text)
    ? text
    : refuse('image', text, 'is REGISTRY/NAME:TAG, such as registry.example.org/bkp:1.0');

/** An amount of storage, as it is. Throws BkpError('usage'). */
export const quantity = (text: string): string =>
  /^[1-9]\d{0,6}(Mi|Gi|Ti|Pi)$/.test(text) ? text : refuse('size', text, 'is a whole number and Mi, Gi, Ti or Pi, such as 50Gi');

/** A key of a Secret or a credential, as it is. Throws BkpError('usage'). */
export const secretKey = (text: string): string =>
  /^[-._a-zA-Z0-9]{1,253}$/.test(text) && !text.startsWith('..') ? text : refuse('key of a Secret', text, 'are letters, digits and . _ -');

/** A path that is mounted or written to: absolute, and written out. Throws BkpError('usage'). */
export const plainPath = (text: string, setting: string): string =>
  /^\/[^\s"'\\%${}:]*$/.test(text) && !text.split('/').includes('..')
    ? text.replace(/(?<=.)\/+$/, '')
    : refuse(`path that can be rendered (${setting})`, text, 'is an absolute one, written out, of plain characters');
