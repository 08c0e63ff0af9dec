import { existsSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { App } from '../../src/app.ts';
import { type Evidence, encodeEvidence } from '../../src/core/evidence.ts';
import { joinKey } from '../../src/core/key.ts';
import { putBytes } from '../../src/flow/bytes.ts';
import { all, attribute, parse as parseHtml, rowsOf, textOf } from '../report/evidence/dom.ts';
import { drill } from '../report/evidence/samples.ts';
import { lastJson } from './change.ts';
import { aRedisBackup, type RedisSetup, setUpRedis } from './redissetup.ts';
import { cleanUp, runBkp, startRedis, startVersity, tempDir } from './rig/index.ts';

afterAll(cleanUp);

const SECTION = 'bkp/production/drills';

describe('bkp report, out of a directory and a bucket', () => {
  let at: RedisSetup;
  let run: RedisSetup['run'];
  let backup: string;

  /** Puts signed bytes into a store of the config under the name of a drill. */
  async function put(store: string, id: string, bytes: (sign: Parameters<typeof encodeEvidence>[1]) => Buffer): Promise<void> {
    Object.assign(process.env, run.env);
    const app = await App.open({ config: run.config }, { emit: () => {} }, new AbortController().signal);
    try {
      const { ctx } = app.target(undefined, 'redis', 'app', { from: store });
      await putBytes(ctx.stores[0]!, joinKey(SECTION, `${id}.json`), bytes(ctx.keys.sign));
    } finally {
      await app.close();
    }
  }

  const record = (store: string, evidence: Evidence) => put(store, evidence.id, sign => encodeEvidence(evidence, sign));

  async function report(...args: string[]) {
    const out = join(tempDir(), 'report');
    const { code, stdout, stderr } = await runBkp(['report', '--out', out, '--json', ...args], run);
    return { code, stderr, out, json: lastJson(stdout), page: () => readFileSync(join(out, 'index.html'), 'utf8') };
  }

  beforeAll(async () => {
    const [server, versity] = await Promise.all([startRedis(), startVersity()]);
    at = await setUpRedis(server);
    const config = parse(readFileSync(at.run.config, 'utf8'));
    const { accessKey, endpoint, region } = versity;
    const bucket = await versity.bucket();
    config.environments.production.stores.offsite = {
      type: 's3',
      region,
      endpoint,
      bucket,
      accessKey,
      secretKey: '${S3_SECRET}',
      retries: 1,
    };
    config.environments.staging = { ...config.environments.production, restoresFrom: 'production', redis: {} };
    const path = join(tempDir(), 'bkp.yaml');
    writeFileSync(path, stringify(config, { lineWidth: 0 }));
    run = { config: path, env: { S3_SECRET: versity.secretKey } };
    at = { ...at, run, bkp: (...args) => runBkp(args, run) };
    backup = await aRedisBackup(at);
  });

  it('before the first drill says that nothing is proven, and JUnit is red', async () => {
    const { code, json, page, out } = await report();
    expect({ code, drills: json['drills'], newest: json['newest'] }).toEqual({ code: 0, drills: 0, newest: undefined });
    expect(textOf(parseHtml(page()))).toContain('No drill yet');
    expect(readFileSync(join(out, 'junit.xml'), 'utf8')).toMatch(/<testsuites [^>]*errors="1"/);
    expect(existsSync(join(out, 'latest.json'))).toBe(false);
  });

  it('shows the drills of both stores, and the sizes of the backups', async () => {
    const drills = [drill(0), drill(1, 'failed'), drill(2)];
    await record('local', drills[0]!);
    await record('offsite', drills[1]!);
    for (const store of ['local', 'offsite']) await record(store, drills[2]!);
    const { code, json, page, out, stderr } = await report();
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(json).toMatchObject({
      exit: 'done',
      env: 'production',
      drills: 3,
      newest: { id: drills[2]!.id, result: 'passed' },
      leftOut: [],
    });
    const html = parseHtml(page());
    expect(rowsOf(all(html, 'table', 'drills')[0]!).map(row => textOf(all(row, 'code')[0]!))).toEqual(drills.map(({ id }) => id).reverse());
    const [sizes] = all(html, 'div', 'sizes');
    expect(textOf(all(sizes!, 'title')[0]!)).toContain(backup);
    expect(JSON.parse(readFileSync(join(out, 'drills.json'), 'utf8')).drills).toEqual(drills);
    expect(readFileSync(join(out, 'latest.json'))).toEqual(readFileSync(join(at.store, SECTION, `${drills[2]!.id}.json`)));
    expect(readFileSync(join(out, 'latest.md'), 'utf8')).toMatch(/^## ✅ Drill passed/);
    expect(readdirSync(out).sort()).toEqual(['.bkp-report', 'drills.json', 'index.html', 'junit.xml', 'latest.json', 'latest.md']);
  });

  it('out of one store shows what that one has; staging, which restores from production, the same', async () => {
    expect((await report('--from', 'offsite')).json).toMatchObject({ drills: 2, newest: { id: drill(2).id } });
    expect((await report('--env', 'staging')).json).toMatchObject({ env: 'production', drills: 3 });
    expect(await report('--from', 'nowhere')).toMatchObject({ code: 2, json: { next: ['--from with one of: local, offsite'] } });
  });

  it('a person is told how the newest drill ended, and where the page is', async () => {
    const out = join(tempDir(), 'r');
    const { code, stdout } = await runBkp(['report', '--out', out], run);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^report of 3 drill\(s\) of production; the newest, full-dr in staging, begun 2025-08-01 04:00:\d\dZ \(.* ago\): PASSED\n/,
    );
    expect(stdout).toContain(join(out, 'index.html'));
  });

  it('a record that is not to be believed is named, left out, and makes exit 3', async () => {
    const forged = { ...drill(3), targets: drill(3).targets };
    await put('offsite', forged.id, sign => Buffer.from(encodeEvidence(forged, sign).toString().replace('passed', 'failed')));
    const { code, json, page, stderr } = await report();
    expect(code).toBe(3);
    expect(json).toMatchObject({ exit: 'partial', drills: 3 });
    expect(json['leftOut']).toEqual([expect.stringMatching(new RegExp(`${forged.id}.json in store offsite .*changed after signing`))]);
    expect(stderr).toBe('');
    expect(textOf(parseHtml(page()))).toContain(`${forged.id}.json in store offsite`);
  });

  it('a store that does not answer is a warning, and exit 3; none that answers is exit 8 and writes nothing', async () => {
    renameSync(at.store, `${at.store}.away`);
    try {
      const { code, json } = await report();
      expect({ code, drills: json['drills'] }).toEqual({ code: 3, drills: 2 });
      expect(json['leftOut'].some((text: string) => text.includes('local'))).toBe(true);
      const silent = await report('--from', 'local');
      expect(silent.code).toBe(8);
      expect(existsSync(silent.out)).toBe(false);
    } finally {
      renameSync(`${at.store}.away`, at.store);
    }
  });

  it("never writes over somebody's files unless told to", async () => {
    const out = tempDir();
    writeFileSync(join(out, 'index.html'), 'mine');
    expect((await runBkp(['report', '--out', out], run)).code).toBe(4);
    expect(readdirSync(out)).toEqual(['index.html']);
    expect((await runBkp(['report', '--out', out, '--force'], run)).code).toBe(3);
    expect(readFileSync(join(out, 'index.html'), 'utf8')).toMatch(/^<!doctype html>/);
  });

  it('holds no secret of the config, even one that stands in a record', async () => {
    const secret = run.env['S3_SECRET']!;
    const told = drill(4);
    told.targets[0]!.checks[0]!.text = `refused ${secret}`;
    await record('local', told);
    const { code, out, page } = await report();
    expect({ code, signed: existsSync(join(out, 'latest.json')) }).toEqual({ code: 3, signed: false });
    expect(attribute(all(parseHtml(page()), 'section')[0]!, 'class')).toBe('hero passed');
    for (const name of ['index.html', 'junit.xml', 'drills.json', 'latest.md'])
      expect(readFileSync(join(out, name), 'utf8')).not.toContain(secret);
  });
});
