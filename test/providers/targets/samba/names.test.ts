import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { newDc, throwAway } from '../../../../src/providers/targets/samba/names.ts';

const domain = { dcs: [{ name: 'DC1', host: null, addresses: [] }], sites: ['Default-First-Site-Name', 'Berlin'] };
const of = (options: Record<string, string>, change: Partial<typeof domain> = {}, site?: string) =>
  newDc(options, { ...domain, ...change }, 'ADTEST', site);

describe('the DC that a restore makes', () => {
  it('needs a name', () => expect(() => of({})).toThrow('nothing says which'));

  it.each(['a-dc-of-16-chars', '-dc', 'dc-', 'dc 1', 'dc.x', '12345', '', 'dc_1'])('is not called "%s"', name => {
    expect(() => of({ 'server-name': name })).toThrow(/no name for a DC|nothing says/);
  });

  it.each(['dc1', 'DC1', 'adtest'])('SA10: is not called %s, which the domain has', name => {
    expect(() => of({ 'server-name': name })).toThrow(expect.objectContaining({ exit: 'refused' }));
  });

  it('takes every name that NetBIOS takes', () => {
    fc.assert(
      fc.property(fc.stringMatching(/^[a-z][a-z0-9]{0,14}$/), name => {
        fc.pre(!['dc1', 'adtest'].includes(name));
        expect(of({ 'server-name': name })).toEqual({ name });
      }),
    );
  });

  it('SA08: goes into the site that was named, as the domain writes it', () => {
    expect(of({ 'server-name': 'x', site: 'berlin' })).toEqual({ name: 'x', site: 'Berlin' });
    expect(of({ 'server-name': 'x' }, {}, 'Berlin')).toEqual({ name: 'x', site: 'Berlin' });
    expect(of({ 'server-name': 'x', site: 'berlin' }, {}, 'Default-First-Site-Name').site).toBe('Berlin');
  });

  it('SA08: is refused where the domain has no default site and none was named', () => {
    expect(() => of({ 'server-name': 'x' }, { sites: ['Berlin'] })).toThrow('no site Default-First-Site-Name');
    expect(() => of({ 'server-name': 'x', site: 'Nowhere' })).toThrow('no site Nowhere');
  });

  it('has an address of IPv4', () => {
    expect(of({ 'server-name': 'x', 'host-ip': '10.0.0.5' }).hostIp).toBe('10.0.0.5');
    expect(() => of({ 'server-name': 'x', 'host-ip': '10.0.0' })).toThrow('no IPv4 address');
  });
});

it('a proof takes a name that the domain has not', () => {
  expect(throwAway([])).toBe('BKPPROOF');
  expect(throwAway(['bkpproof', 'BKPPROOF1'])).toBe('BKPPROOF2');
});
