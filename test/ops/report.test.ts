import { chmodSync, mkdirSync, readdirSync, readFileSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { Store } from '../../src/core/contracts.ts';
import { BkpError } from '../../src/core/errors.ts';
import { type Evidence, encodeEvidence } from '../../src/core/evidence.ts';
import { putBytes, readAll } from '../../src/flow/bytes.ts';
import { readDrills } from '../../src/ops/report/drills.ts';
import { gatherMaterial } from '../../src/ops/report/gather.ts';
import { publishReport } from '../../src/ops/report/publish.ts';
import { writeReport } from '../../src/ops/report/write.ts';
import { drill } from '../report/evidence/samples.ts';
import { BASE, chunks, fakeTarget, frail, keySet, rig } from './rig.ts';

const PLACE = 'prod/drills';
const ran = (n: number): Evidence => ({ ...drill(n), env: 'prod' });
const bytesOf = (evidence: Evidence, keys = pair.keys): Buffer => encodeEvidence(evidence, keys.sign);
const put = (store: Store, bytes: Buffer, id: string) => putBytes(store, `${PLACE}/${id}.json`, bytes);
const pair = keySet();
const good = fakeTarget(() => ({ data: chunks(Buffer.alloc(100_000, 'x')) }));

describe('drills on record', () => {
  it('are read out of every store, each once, oldest first', async () => {
    using r = rig(pair.keys);
    const [one, two] = r.stores as [Store, Store];
    const [first, second, third] = [ran(0), ran(1), ran(2)];
    for (const each of [third, second]) await put(one, bytesOf(each), each.id);
    for (const each of [first, second]) await put(two, bytesOf(each), each.id);
    const { drills, problems } = await readDrills(r.stores, BASE, pair.keys);
    expect(problems).toEqual([]);
    expect(drills.map(({ evidence }) => evidence)).toEqual([first, second, third]);
    expect(drills[0]!.raw).toEqual(bytesOf(first));
  });

  it('what lies beside them is none', async () => {
    using r = rig(pair.keys);
    for (const name of ['index.html', `${ran(0).id}.md`, 'notes.json', `old/${ran(0).id}.json`])
      await putBytes(r.stores[0]!, `${PLACE}/${name}`, Buffer.from('x'));
    expect(await readDrills(r.stores, BASE, pair.keys)).toEqual({ drills: [], problems: [] });
  });

  it.each<[string, (evidence: Evidence) => Buffer, RegExp]>([
    ['signed by another key', evidence => bytesOf(evidence, keySet().keys), /not signed by a key of keys.trusted/],
    ['changed', evidence => Buffer.from(bytesOf(evidence).toString().replace('passed', 'failed')), /was changed after signing/],
    ['cut short', evidence => bytesOf(evidence).subarray(0, 300), /carries no signature/],
    ['of another drill', () => bytesOf(ran(5)), /moved or copied/],
    ['of another environment', evidence => bytesOf({ ...evidence, env: 'other' }), /moved or copied/],
    ['no record', () => Buffer.alloc(16 * 1024 * 1024 + 1), /which no record of a drill has/],
  ])('one that is %s is named and left out, and the others count', async (_, make, why) => {
    using r = rig(pair.keys);
    const one = r.stores[0]!;
    await put(one, bytesOf(ran(0)), ran(0).id);
    await put(one, make(ran(1)), ran(1).id);
    const { drills, problems } = await readDrills(r.stores, BASE, pair.keys);
    expect(drills.map(({ evidence }) => evidence.id)).toEqual([ran(0).id]);
    expect(problems).toMatchObject([{ store: 'one', key: `${PLACE}/${ran(1).id}.json`, error: expect.stringMatching(why) }]);
  });

  it('of two that differ under one name the first counts, and it is told', async () => {
    using r = rig(pair.keys);
    const [one, two] = r.stores as [Store, Store];
    await put(one, bytesOf(ran(0)), ran(0).id);
    await put(two, bytesOf({ ...ran(0), tool: 'another' }), ran(0).id);
    const { drills, problems } = await readDrills(r.stores, BASE, pair.keys);
    expect(drills.map(({ evidence }) => evidence.tool)).toEqual([ran(0).tool]);
    expect(problems).toMatchObject([{ store: 'two', error: expect.stringContaining('another record in store two') }]);
  });

  it('a store that does not answer is told; none that answers is an error', async () => {
    using r = rig(pair.keys);
    const [one, two] = r.stores.map(frail);
    await put(r.stores[1]!, bytesOf(ran(0)), ran(0).id);
    one!.broken.add('list');
    const { drills, problems } = await readDrills([one!.store, two!.store], BASE, pair.keys);
    expect(drills.length).toBe(1);
    expect(problems).toEqual([{ store: 'one', error: 'store one fell over at list' }]);
    two!.broken.add('get');
    await expect(readDrills([one!.store, two!.store], BASE, pair.keys)).rejects.toMatchObject({ exit: 'storeUnreachable' });
  });
});

describe('what a report is made from', () => {
  it('has the drills, the sizes of the backups, and no secret', async () => {
    using r = rig(pair.keys);
    const { manifest, bytes } = await r.backup(good);
    const told = ran(0);
    told.targets[0]!.checks[0]!.text = 'the password is hunter2';
    await put(r.stores[0]!, bytesOf(told), told.id);
    const ctx = r.context({ redact: text => text.replaceAll('hunter2', '***') });
    const { material, signed } = await gatherMaterial([ctx], 'bkp 1');
    expect(material).toMatchObject({ env: 'prod', tool: 'bkp 1' });
    expect(material.leftOut).toEqual([expect.stringMatching(new RegExp(`${told.id} holds a secret of this config`))]);
    expect(material.sizes).toEqual([{ kind: 'fake', name: 'app', backup: manifest.id, startedAt: manifest.startedAt, bytes }]);
    expect(material.drills[0]!.targets[0]!.checks[0]!.text).toBe('the password is ***');
    expect(signed).toBeUndefined();
    await put(r.stores[0]!, bytesOf(ran(1)), ran(1).id);
    expect(await gatherMaterial([ctx], 'bkp 1')).toMatchObject({ material: { leftOut: [] }, signed: bytesOf(ran(1)) });
  });

  it('a store that does not answer is named once, whatever number of targets is in it', async () => {
    using r = rig(pair.keys);
    await r.backup(good);
    renameSync(join(r.dir, 'two'), join(r.dir, 'away'));
    const { material } = await gatherMaterial([r.ctx, r.context({ name: 'other', base: 'prod/fake/other' })], 'bkp 1');
    expect(material.leftOut.length).toBe(1);
    expect(material.leftOut[0]).toContain('two');
    expect(material.sizes.length).toBe(1);
  });
});

const rendered = { html: '<p>page', markdown: '# md', junit: '<x/>', json: '{}' };
const NAMES = ['.bkp-report', 'drills.json', 'index.html', 'junit.xml', 'latest.json', 'latest.md'];
const signed = Buffer.from('signed');

describe('a report in a directory', () => {
  it('is whole, and for its owner alone', async () => {
    using r = rig(pair.keys);
    const dir = join(r.dir, 'a', 'report');
    const files = await writeReport(dir, rendered, { signed });
    expect(readdirSync(dir).sort()).toEqual(NAMES);
    expect(files.sort()).toEqual(NAMES.slice(1).map(name => join(dir, name)));
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    for (const name of NAMES) expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600);
    expect(readFileSync(join(dir, 'index.html'), 'utf8')).toBe(rendered.html);
    expect(readFileSync(join(dir, 'latest.json'))).toEqual(signed);
  });

  it('takes the place of the one before, whose signed record does not stay; what else is there does', async () => {
    using r = rig(pair.keys);
    const dir = join(r.dir, 'report');
    await writeReport(dir, rendered, { signed });
    writeFileSync(join(dir, 'notes.txt'), 'mine');
    await writeReport(dir, { ...rendered, html: 'new' });
    expect(readFileSync(join(dir, 'index.html'), 'utf8')).toBe('new');
    expect(readFileSync(join(dir, 'notes.txt'), 'utf8')).toBe('mine');
    expect(readdirSync(dir).sort()).toEqual([...NAMES.filter(name => name !== 'latest.json'), 'notes.txt'].sort());
  });

  it('a directory with other things in it is refused untouched, but for --force', async () => {
    using r = rig(pair.keys);
    const dir = join(r.dir, 'site');
    mkdirSync(dir);
    writeFileSync(join(dir, 'index.html'), 'mine');
    await expect(writeReport(dir, rendered)).rejects.toMatchObject({ exit: 'refused' });
    expect(readdirSync(dir)).toEqual(['index.html']);
    expect(readFileSync(join(dir, 'index.html'), 'utf8')).toBe('mine');
    await writeReport(dir, rendered, { force: true });
    expect(readFileSync(join(dir, 'index.html'), 'utf8')).toBe(rendered.html);
  });

  it('a link in it is replaced, and what it leads to is not written', async () => {
    using r = rig(pair.keys);
    const dir = join(r.dir, 'report');
    await writeReport(dir, rendered);
    writeFileSync(join(r.dir, 'elsewhere'), 'mine');
    renameSync(join(dir, 'index.html'), join(dir, 'old.html'));
    symlinkSync(join(r.dir, 'elsewhere'), join(dir, 'index.html'));
    await writeReport(dir, rendered);
    expect(readFileSync(join(r.dir, 'elsewhere'), 'utf8')).toBe('mine');
    expect(readFileSync(join(dir, 'index.html'), 'utf8')).toBe(rendered.html);
  });

  it('what cannot be written is a sentence with the path, and leaves nothing half', async () => {
    using r = rig(pair.keys);
    writeFileSync(join(r.dir, 'file'), '');
    await expect(writeReport(join(r.dir, 'file'), rendered)).rejects.toThrow(/the report cannot be written to .*\/file/);
    const dir = join(r.dir, 'report');
    await writeReport(dir, rendered);
    renameSync(join(dir, 'junit.xml'), join(r.dir, 'junit.xml'));
    mkdirSync(join(dir, 'junit.xml', 'x'), { recursive: true });
    await expect(writeReport(dir, { ...rendered, html: 'new' })).rejects.toBeInstanceOf(BkpError);
    expect(readFileSync(join(dir, 'index.html'), 'utf8')).toBe(rendered.html);
    expect(readdirSync(dir).filter(name => /\.[0-9a-f]{12}$/.test(name))).toEqual([]);
    chmodSync(dir, 0o700);
  });
});

describe('a report in the stores', () => {
  const text = async (store: Store, name: string) => (await readAll(store.get(`${PLACE}/${name}`))).toString();

  it('lies beside the record in each of them; the page is made anew, what is of one drill never', async () => {
    using r = rig(pair.keys);
    const { id } = ran(0);
    expect(await publishReport(r.stores, BASE, id, rendered)).toEqual([]);
    for (const store of r.stores) {
      expect([await text(store, `${id}.md`), await text(store, `${id}.xml`), await text(store, 'index.html')]).toEqual([
        '# md',
        '<x/>',
        '<p>page',
      ]);
    }
    const problems = await publishReport(r.stores, BASE, id, { html: 'new', markdown: 'new', junit: 'new', json: 'new' });
    expect(problems.map(({ key }) => key)).toEqual([`${PLACE}/${id}.md`, `${PLACE}/${id}.xml`, `${PLACE}/${id}.md`, `${PLACE}/${id}.xml`]);
    for (const store of r.stores) expect([await text(store, `${id}.md`), await text(store, 'index.html')]).toEqual(['# md', 'new']);
  });

  it('a store that fails keeps the others from nothing', async () => {
    using r = rig(pair.keys);
    const [one, two] = r.stores.map(frail);
    one!.broken.add('open');
    const problems = await publishReport([one!.store, two!.store], BASE, ran(0).id, rendered);
    expect(problems.map(({ store, error }) => `${store}: ${error}`)).toEqual(Array(3).fill('one: store one fell over at open'));
    expect(await text(two!.store, 'index.html')).toBe('<p>page');
  });
});
