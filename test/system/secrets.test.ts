import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { configCommand } from '../../src/commands/config.ts';
import { parseConfig, resolveSecrets } from '../../src/core/config/index.ts';
import { stores } from '../../src/providers/stores/index.ts';
import { targets } from '../../src/providers/targets/index.ts';
import { readConfig, secretSource } from '../../src/system/secrets.ts';

let dir: string;
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'bkp-secrets-'));
});
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const registry = { kinds: targets, stores };
const example = () => readFileSync(new URL('../../docs/example.yaml', import.meta.url), 'utf8');
const write = (name: string, text: string | Buffer): string => {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
};

describe('secretSource', () => {
  test('reads variables and files, and remembers the values', () => {
    const file = write('key', 'seed-of-key\n');
    const source = secretSource({ A: 'value-a' });
    expect(resolveSecrets(['${A}', `\${file:${file}}`], 'keys', source)).toEqual(['value-a', 'seed-of-key']);
    expect([...source.seen]).toEqual(['value-a', 'seed-of-key']);
  });

  test('a file that is no text is refused, naming the setting', () => {
    const file = write('binary', Buffer.from([0xff, 0xfe]));
    expect(() => resolveSecrets(`\${file:${file}}`, 'keys.signing', secretSource({}))).toThrow(/keys\.signing needs the file .*not UTF-8/);
  });
});

test('readConfig finds the file of BKP_CONFIG, and names one that is not there', () => {
  const file = write('bkp.yaml', 'x');
  expect(readConfig(undefined, { BKP_CONFIG: file })).toEqual({ file, text: 'x' });
  expect(() => readConfig(join(dir, 'none.yaml'), {})).toThrow(expect.objectContaining({ exit: 'usage' }));
});

describe('bkp config', () => {
  const ENV = {
    BKP_RECIPIENT: 'age1qqq',
    S3_KEY: 'k',
    S3_SECRET: 'sec',
    B2_KEY: 'k',
    B2_SECRET: 'sec',
    BKP_VERIFY_KEY: 'bkp-ed25519-x',
    APP_PGPASSWORD: 'pw',
    STAGING_PGPASSWORD: 'pw',
  };

  async function run(args: string[], text: string, env: Record<string, string> = ENV, json = false): Promise<string> {
    const lines: string[] = [];
    const source = { env, readFile: () => 'file' };
    const deps = {
      load: () => ({ file: 'bkp.yaml', text }),
      registry,
      source,
      json: () => json,
      out: (line: string) => void lines.push(line),
    };
    await configCommand(() => deps).parseAsync(args, { from: 'user' });
    return lines.join('\n');
  }

  test('check passes the shipped example', async () => {
    // Its lock is shorter than what it keeps, on purpose: that is told, and no fault.
    expect(await run(['check'], example())).toMatch(
      /^bkp\.yaml: warning: environments\.production\.stores\.offsite\.lock, .*\nbkp\.yaml: ok$/,
    );
    expect(JSON.parse(await run(['check'], example(), ENV, true))).toMatchObject({ ok: true, file: 'bkp.yaml' });
  });

  test('check names every missing variable', async () => {
    await expect(run(['check'], example(), { BKP_RECIPIENT: 'age1qqq', BKP_VERIFY_KEY: 'x' })).rejects.toThrow(
      /production\.postgres\.app\.password needs the variable APP_PGPASSWORD.*\n.*STAGING_PGPASSWORD/,
    );
  });

  test('show fills in, keeps references, hides written-out secrets, and is a config again', async () => {
    const shown = await run(['show'], example().replace('${APP_PGPASSWORD}', 'hunter22'));
    expect(shown).not.toContain('hunter22');
    expect(shown).toContain('${STAGING_PGPASSWORD}');
    const { staging } = parseConfig(shown, 'shown', registry).environments;
    expect(staging!.targets['postgres']!['app']).toMatchObject({ schedule: '0 2 * * *', stores: ['local'] });
  });

  test('schema is JSON', async () => {
    expect(JSON.parse(await run(['schema'], ''))).toMatchObject({ type: 'object', additionalProperties: false });
  });
});
