import { BkpError } from '../../../../core/errors.ts';

type Reviver = (key: string, value: unknown, context: { source?: string }) => unknown;

/** Of ES2025, and in Node from 22 on; TypeScript's library does not know it yet. */
const parse = JSON.parse as (text: string, reviver: Reviver) => unknown;

/**
 * Reads JSON with whole numbers beyond 2^53 as their digits: system identifiers and LSNs of WAL-G do not fit a double.
 * @throws BkpError('verifyFailed') naming `what`
 */
export function exactJson(text: string, what: string): any {
  try {
    return parse(text, (_, value, { source }) =>
      typeof value === 'number' && source && String(value) !== source && /^\d+$/.test(source) ? source : value,
    );
  } catch (error) {
    throw new BkpError('verifyFailed', `${what} is no JSON: ${(error as Error).message}`, { cause: error });
  }
}

/** A whole number of `exactJson`; undefined for what is none. */
export const whole = (value: unknown): bigint | undefined => (/^\d+$/.test(String(value)) ? BigInt(String(value)) : undefined);
