import { expect } from '@jest/globals';
import { z } from 'zod';
import { parseConfig, type Registry } from '../../../src/core/config/index.ts';

/** A registry like the product's, so that these tests hold whatever kinds there are. */
export const registry: Registry = {
  kinds: {
    postgres: {
      config: z.strictObject({
        engine: z.enum(['native']),
        host: z.string().min(1).default('127.0.0.1'),
        port: z.int().min(1).max(65535).default(5432),
        password: z.string().optional(),
        wal: z.strictObject({ stores: z.array(z.string()).min(1).optional() }).prefault({}),
      }),
      defaults: { schedule: '0 2 * * *', rpo: '15m', retention: { daily: 30, weekly: 12, monthly: 12, wal: '30d' } },
    },
  },
  stores: { directory: { config: z.strictObject({ path: z.string().min(1) }) } },
};

export const BASE = `keys: { recipients: [age1qqq], trusted: [bkp-ed25519-x] }
environments:
  production:
    stores:
      local: { type: directory, path: /srv/bkp }
      offsite: { type: directory, path: /mnt/offsite }
    postgres:
      app: { engine: native, password: "\${PW}" }
`;

export const parse = (text: string) => parseConfig(text, 'bkp.yaml', registry);

/** The lines of the fault that a text is refused with. */
export function faults(text: string): string[] {
  try {
    parse(text);
  } catch (error) {
    expect(error).toMatchObject({ name: 'BkpError', exit: 'usage' });
    return (error as Error).message.split('\n');
  }
  throw new Error('the config was not refused');
}
