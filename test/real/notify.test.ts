import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { changed, lastJson, type Yaml } from './change.ts';
import { cleanUp, makeConfig, type Redis, runBkp, startBkp, startRedis, tempDir } from './rig/index.ts';
import { type Listener, startListener } from './rig/listener.ts';
import { type MailServer, startMail } from './rig/mail.ts';
import { waitFor } from './rig/wait.ts';

const PATHS = { slack: '/services/T0SECRET/B0SECRET/xoxSLACKxox', hc: '/0c5e7d6a-ping-uuid', ntfy: '/t0pic-that-is-a-secret' };
const SECRETS = {
  SLACK_URL: '',
  HC_URL: '',
  NTFY_URL: '',
  HOOK_URL: '',
  HOOK_TOKEN: 'tok-h00k-bearer-77',
  MAIL_PASSWORD: 'm@il pass"word\\1',
  NTFY_TOKEN: 'tk_ntfy_4711',
};
const WRITTEN = 'written-0ut-header-value';

let server: Redis;
let web: Listener;
let other: Listener;
let mail: MailServer;
let at: { run: { config: string; env: Record<string, string> } };
let store: string;

const NOTIFY = (): Yaml => ({
  ops: { type: 'slack', url: '${SLACK_URL}', timeout: '3s' },
  check: { type: 'healthchecks', url: '${HC_URL}', timeout: '3s' },
  phone: { type: 'ntfy', url: '${NTFY_URL}', token: '${NTFY_TOKEN}', timeout: '3s' },
  any: {
    type: 'webhook',
    url: '${HOOK_URL}',
    headers: { Authorization: 'Bearer ${HOOK_TOKEN}', 'X-Key': WRITTEN },
    on: ['success', 'failure', 'partial', 'recovered', 'late'],
    timeout: '3s',
  },
  mail: {
    type: 'smtp',
    host: '127.0.0.1',
    port: mail.port,
    tls: 'never',
    user: 'bkp',
    password: '${MAIL_PASSWORD}',
    from: 'bkp@example.org',
    to: ['ops@example.org'],
    timeout: '3s',
  },
});

beforeAll(async () => {
  [server, web, other, mail] = await Promise.all([
    startRedis({}),
    startListener(),
    startListener(),
    startMail({ account: { user: 'bkp', password: SECRETS.MAIL_PASSWORD } }),
  ]);
  Object.assign(SECRETS, {
    SLACK_URL: `${web.address}${PATHS.slack}`,
    HC_URL: `${web.address}${PATHS.hc}`,
    NTFY_URL: `${web.address}${PATHS.ntfy}`,
    HOOK_URL: `${other.address}/in/k3y-of-the-hook?sig=s1gnature-of-hook`,
  });
  await server.cli('SET', 'a', '1');
  store = tempDir();
  const config = await makeConfig({ stores: { local: store }, redis: { app: server.entry() }, environment: { notify: NOTIFY() } });
  at = { run: { config: config.path, env: { ...SECRETS } } };
});

afterEach(() => {
  web.asked.length = 0;
  other.asked.length = 0;
  mail.mails.length = 0;
  mail.refused.clear();
  for (const each of [web, other]) each.act = (_, answer) => void answer.end('ok');
});

afterAll(async () => {
  await Promise.all([web?.stop(), other?.stop(), mail?.stop()]);
  await cleanUp();
});

const toSlack = (): string[] => web.asked.filter(({ url }) => url === PATHS.slack).map(({ body }) => JSON.parse(body).text);
const toCheck = (): string[] =>
  web.asked.filter(({ url }) => url.startsWith(PATHS.hc)).map(({ url }) => url.slice(PATHS.hc.length).split('?')[0]!);
const toPhone = (): Yaml[] => web.asked.filter(({ url }) => url === '/').map(({ body }) => JSON.parse(body));
const toHook = (): Yaml[] => other.asked.map(({ body }) => JSON.parse(body));

/** The same config without notifiers but some, each changed. */
const only = (change: Record<string, Yaml>, edit: (config: Yaml) => void = () => {}) =>
  changed(at as never, config => {
    const env = config['environments'].production;
    env.notify = Object.fromEntries(Object.entries(change).map(([name, fields]) => [name, { ...NOTIFY()[name], ...fields }]));
    edit(config);
  });

const broken = (config: Yaml): void => {
  config['environments'].production.redis.app.port = 1;
};

const allRecords = (): string =>
  readdirSync(store, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile() && /\/(runs|leases|pins)/.test(entry.parentPath))
    .map(entry => readFileSync(join(entry.parentPath, entry.name), 'utf8'))
    .join('\n');

describe('who is told what', () => {
  it('a good backup: the check hears start and 0, the webhook all its values, and nobody else anything', async () => {
    const { code, stdout, stderr } = await runBkp(['backup', 'redis', 'app', '--json'], at.run);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(toCheck()).toEqual(['/start', '/0']);
    const rids = web.asked.map(({ url }) => new URLSearchParams(url.split('?')[1]).get('rid'));
    expect(new Set(rids).size).toBe(1);
    const { backups, notifications } = lastJson(stdout);
    expect(toHook()).toEqual([
      expect.objectContaining({
        event: 'success',
        env: 'production',
        target: 'redis/app',
        verb: 'backup',
        exit: 'done',
        code: 0,
        id: backups[0].id,
        run: rids[0],
      }),
    ]);
    expect(other.asked[0]).toMatchObject({ method: 'POST', headers: { authorization: `Bearer ${SECRETS.HOOK_TOKEN}`, 'x-key': WRITTEN } });
    expect([toSlack(), toPhone(), mail.mails]).toEqual([[], [], []]);
    expect(notifications).toEqual(expect.arrayContaining([{ name: 'check', type: 'healthchecks', ok: true }]));
  });

  it('a failure is told to all with its reason, the exit stays as it was, and the run after it is a recovery, once', async () => {
    const run = only({ ops: {}, check: {}, phone: {}, any: {}, mail: {} }, broken);
    const { code } = await runBkp(['backup', 'redis'], run);
    expect(code).toBe(1);
    expect(toCheck()).toEqual(['/start', '/1']);
    expect(toSlack()).toEqual([
      expect.stringMatching(/^bkp production: backup redis\/app: FAILED\nredis\/app: FAILED \(failed\): .*127\.0\.0\.1/),
    ]);
    expect(toPhone()).toEqual([
      expect.objectContaining({ topic: PATHS.ntfy.slice(1), priority: 5, title: 'bkp production: backup redis/app: FAILED' }),
    ]);
    expect(web.asked.find(({ url }) => url === '/')?.headers['authorization']).toBe(`Bearer ${SECRETS.NTFY_TOKEN}`);
    expect(toHook()).toEqual([expect.objectContaining({ event: 'failure', exit: 'failed', code: 1 })]);
    expect(mail.mails).toEqual([expect.objectContaining({ from: 'bkp@example.org', to: ['ops@example.org'], user: 'bkp' })]);
    expect(mail.mails[0]!.text).toMatch(/^Subject: bkp production: backup redis\/app: FAILED\r$/m);

    web.asked.length = 0;
    expect((await runBkp(['backup', 'redis'], at.run)).code).toBe(0);
    expect(toSlack()).toEqual([expect.stringMatching(/^bkp production: backup redis\/app: RECOVERED\n/)]);
    web.asked.length = 0;
    expect((await runBkp(['backup', 'redis'], at.run)).code).toBe(0);
    expect([toSlack(), toCheck()]).toEqual([[], ['/start', '/0']]);
  });

  it('targets, verbs and on choose, and a plan, a list and a dry run are no runs', async () => {
    const run = only({
      ops: { on: ['success'], targets: ['redis'], verbs: ['verify'] },
      any: { targets: ['postgres', 'redis/other'] },
      check: { verbs: ['status'] },
    });
    for (const args of [['backup'], ['prune'], ['list'], ['backup', '--list']]) expect((await runBkp(args, run)).code).toBe(0);
    expect([web.asked, other.asked]).toEqual([[], []]);
    expect((await runBkp(['verify'], run)).code).toBe(0);
    expect(toSlack()).toEqual([expect.stringContaining('verify redis/app: ok')]);
    expect(other.asked).toEqual([]);
    expect((await runBkp(['prune', '--confirm'], only({ any: {} }))).code).toBe(0);
    expect(toHook()).toEqual([expect.objectContaining({ verb: 'prune', event: 'success' })]);
  });

  it('late: told once and not again within `repeat`, then recovered; a check hears each status', async () => {
    const late = only({ ops: { repeat: '12h' }, check: {} }, config => {
      Object.assign(config['environments'].production.redis.app, { rpo: '1ms' });
    });
    expect((await runBkp(['status'], late)).code).toBe(10);
    expect((await runBkp(['status'], late)).code).toBe(10);
    expect(toSlack()).toEqual([expect.stringMatching(/status redis\/app: LATE\nredis\/app: LATE \(unhealthy\): /)]);
    expect(toCheck()).toEqual(['/start', '/10', '/start', '/10']);
    web.asked.length = 0;
    expect(
      (
        await runBkp(
          ['status'],
          only({ ops: { repeat: '0s' } }, config => Object.assign(config['environments'].production.redis.app, { rpo: '1ms' })),
        )
      ).code,
    ).toBe(10);
    expect(toSlack()).toHaveLength(1);
    web.asked.length = 0;
    const away = only({ ops: { on: ['failure', 'partial', 'late', 'recovered'] } }, config =>
      Object.assign(config['environments'].production.redis.app, { rpo: '1d', port: 1 }),
    );
    expect((await runBkp(['status'], away)).stdout).toMatch(/unknown/);
    expect(toSlack()).toEqual([]);
    const fine = only({ ops: {} }, config => Object.assign(config['environments'].production.redis.app, { rpo: '1d' }));
    expect((await runBkp(['status'], fine)).code).toBe(0);
    expect((await runBkp(['status'], fine)).code).toBe(0);
    expect(toSlack()).toEqual([expect.stringContaining('status redis/app: RECOVERED')]);
  });
});

describe('MO01: a notifier that fails is itself a failure', () => {
  it('MO01: a dead one, a 500, a hang, a redirect, a mail refused with 550: each is told by name, the others hear all, and the run is partial', async () => {
    mail.refused.add('ops@example.org');
    web.act = ({ url }, answer) => {
      if (url === PATHS.slack) answer.writeHead(500).end(`broken at ${PATHS.slack}`);
      else if (url === '/') answer.writeHead(302, { location: `${other.address}/elsewhere` }).end();
      else if (!url.startsWith(PATHS.hc)) answer.end('ok');
      // The check hangs.
    };
    const all = { on: ['success'] };
    const run = only({
      ops: { ...all, timeout: '1s' },
      check: { timeout: '1s' },
      phone: all,
      any: {},
      mail: all,
      gone: { type: 'slack', url: 'http://127.0.0.1:1/x', ...all, timeout: '1s' },
    });
    const { code, stdout, stderr } = await runBkp(['backup', 'redis', '--json'], run);
    expect(code).toBe(3);
    const { exit, backups, notifications } = lastJson(stdout);
    expect({ exit, of: backups[0].exit }).toEqual({ exit: 'partial', of: 'done' });
    expect(Object.fromEntries(notifications.map(({ name, ok, error }: Yaml) => [name, ok ? 'ok' : error]))).toEqual({
      any: 'ok',
      ops: expect.stringMatching(/^127\.0\.0\.1:\d+ answered 500 broken at \[redacted\]$/),
      check: expect.stringMatching(/^it gave no answer in/),
      phone: expect.stringMatching(/answered 302, a redirect/),
      mail: expect.stringMatching(/550 no such user here/),
      gone: '127.0.0.1:1: it refuses the connection',
    });
    expect(other.asked).toHaveLength(1);
    expect(stdout).toMatch(/"warning".*notifier ops \(slack\) was not reached/);
    expect(stderr).toBe('');
  });

  it('an answer that repeats the address, as Apache words its 404, shows no part of it, wherever it is cut', async () => {
    const page = (path: string) =>
      `<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n<html><head>\n<title>404 Not Found</title>\n</head><body>\n<h1>Not Found</h1>\n<p>The requested URL ${path} was not found on this server.</p>\n</body></html>\n`;
    web.act = ({ url }, answer) => void answer.writeHead(404).end(page(url!));
    const [slack, token] = ['/services/T00000000/B00000000/', 'XyZabcdefghijklmnopqrst9'];
    const run = only({ echo: { type: 'slack', url: `${web.address}${slack}${token}`, on: ['success'], timeout: '3s' } });
    const { code, stdout, stderr } = await runBkp(['backup', 'redis'], run);
    expect(code).toBe(3);
    expect(stdout + stderr).toMatch(/answered 404 .*The requested URL \[redacted\]/);
    expect(stdout + stderr + allRecords()).not.toContain(token.slice(0, 8));
  });

  it('MO01: it is on record in the stores: status is red and counts, the textfile too, and a test that arrives ends it', async () => {
    web.act = (_, answer) => void answer.writeHead(404).end('no_service');
    const run = only({ ops: { on: ['success'] }, any: {} }, config =>
      Object.assign(config['environments'].production.redis.app, { rpo: '1d' }),
    );
    for (const code of [3, 3]) expect((await runBkp(['backup', 'redis'], run)).code).toBe(code);
    const file = join(tempDir(), 'bkp.prom');
    const { code, stdout } = await runBkp(['status', '--textfile', file], run);
    expect(code).toBe(10);
    expect(stdout).toMatch(/failing {2}notifier ops: [23] message\(s\) in a row did not arrive: 127\.0\.0\.1:\d+ answered 404 no_service/);
    expect(readFileSync(file, 'utf8')).toMatch(
      /bkp_notifier_up\{env="production",notifier="ops"\} 0\n(?:.*\n)*bkp_notifier_failures\{env="production",notifier="ops"\} [23]\n/,
    );
    expect(readFileSync(file, 'utf8')).toContain('bkp_notifier_up{env="production",notifier="any"} 1');
    expect(toHook().at(-1)).toMatchObject({ event: 'failure', verb: 'status', target: 'redis/app, notify/ops' });

    const failed = await runBkp(['notify', 'test'], run);
    expect(failed.code).toBe(1);
    expect(failed.stdout).toMatch(/^FAIL {2}ops \(slack\): .*404 no_service\nOK {4}any \(webhook\): /);
    web.act = (_, answer) => void answer.end('ok');
    expect((await runBkp(['notify', 'test', 'ops'], run)).code).toBe(0);
    expect((await runBkp(['status'], run)).code).toBe(0);
    expect((await runBkp(['notify', 'test', 'nobody'], run)).code).toBe(6);
  });

  it('a failure that cannot be told ends with its own code, and a notifier whose secret is missing stops no other', async () => {
    const run = only({ ops: {}, any: {}, gone: { type: 'slack', url: '${NOT_SET_URL}' } }, broken);
    const { code, stderr } = await runBkp(['backup', 'redis'], run);
    expect(code).toBe(1);
    expect(stderr).toMatch(/notifier gone \(slack\) was not reached: .*notify\.gone\.url needs the variable NOT_SET_URL/);
    expect([toSlack().length, toHook().length]).toEqual([1, 1]);
  });

  it('one that is busy is tried again, and an answer of 4xx is not', async () => {
    web.act = (_, answer, nth) => void (nth < 3 ? answer.writeHead(503).end() : answer.end('ok'));
    expect((await runBkp(['notify', 'test', 'ops'], at.run)).code).toBe(0);
    expect(web.asked).toHaveLength(3);
    web.asked.length = 0;
    web.act = (_, answer) => void answer.writeHead(403).end('invalid_token');
    expect((await runBkp(['notify', 'test', 'ops'], at.run)).code).toBe(1);
    expect(web.asked).toHaveLength(1);
  });

  it('a run that is ended by SIGTERM says so before it goes', async () => {
    const run = only({ ops: {}, check: {} }, config => {
      config['environments'].production.redis.app.hooks = { before: ['sleep', '60'] };
    });
    const child = startBkp(['backup', 'redis'], run);
    await waitFor(() => toCheck().includes('/start'));
    child.kill('SIGTERM');
    expect((await child.ended).code).toBe(143);
    expect(toCheck()).toEqual(['/start', '/143']);
    expect(toSlack()).toEqual([expect.stringContaining('ended by SIGTERM')]);
  });
});

describe('CF04: no secret leaves', () => {
  it('CF04: neither in what is shown nor in a record nor in any message, not even of a server that echoes what it got', async () => {
    web.act = ({ url, headers, body }, answer) => void answer.writeHead(400).end(`${url} ${JSON.stringify(headers)} ${body}`);
    other.act = ({ url, headers }, answer) => void answer.writeHead(400).end(`${url} ${JSON.stringify(headers)}`);
    const wrong = { ...at.run, env: { ...at.run.env, MAIL_PASSWORD: 'wr0ng m@il password' } };
    const shown: string[] = [];
    for (const [args, run] of [
      [['notify', 'test', '--verbose'], wrong],
      [['notify', 'test', '--json', '--verbose'], wrong],
      [['backup', 'redis', '--json'], only({ ops: {}, check: {}, phone: {}, any: {}, mail: {} }, broken)],
      [['status', '--json'], at.run],
      [['config', 'show'], at.run],
      [['config', 'check'], at.run],
    ] as const) {
      const { stdout, stderr } = await runBkp(args, run);
      shown.push(stdout, stderr);
    }
    const told = [...web.asked, ...other.asked].map(({ body }) => body).concat(mail.mails.map(({ text }) => text));
    const seen = [...shown, ...told.filter(body => !body.includes('"topic"')), allRecords()].join('\n');
    expect(seen).toMatch(/answered 400/);
    expect(seen).toMatch(/535/);
    const parts = [
      ...Object.values(PATHS),
      ...Object.values(SECRETS),
      WRITTEN,
      'k3y-of-the-hook',
      's1gnature-of-hook',
      'wr0ng m@il password',
      'xoxSLACKxox',
      't0pic-that-is-a-secret',
    ];
    for (const secret of parts)
      for (const spelled of [secret, JSON.stringify(secret).slice(1, -1), encodeURIComponent(secret)])
        expect({ spelled, leaks: seen.includes(spelled) }).toEqual({ spelled, leaks: false });
  });
});

describe('a run over several targets', () => {
  it('MO05: one of two fails: one message for each notifier that names both, and the check never turns green', async () => {
    expect((await runBkp(['backup', 'redis'], only({ ops: {} }))).code).toBe(0);
    web.asked.length = 0;
    const run = only({ ops: { on: ['failure', 'success'] }, check: {}, any: { targets: ['redis/app'] } }, config => {
      const { redis } = config['environments'].production;
      redis.down = { ...redis.app, port: 1 };
    });
    const { code, stdout } = await runBkp(['backup', '--json'], run);
    expect(code).toBe(1);
    expect(toCheck()).toEqual(['/start', '/1']);
    expect(toSlack()).toEqual([expect.stringMatching(/backup redis\/down: FAILED\nredis\/app: ok: .*\nredis\/down: FAILED \(failed\)/)]);
    expect(toHook()).toEqual([expect.objectContaining({ target: 'redis/app', event: 'success' })]);
    expect(lastJson(stdout).backups.map(({ exit }: Yaml) => exit)).toEqual(['done', 'failed']);
  });

  it('full-dr is told with each of its parts', async () => {
    const run = only({ any: {} });
    expect((await runBkp(['backup', 'full-dr'], run)).code).toBe(0);
    expect(toHook()).toEqual([expect.objectContaining({ event: 'success', target: 'redis/app' })]);
  });

  it('a config that names no such target is a failure that everybody hears of', async () => {
    expect((await runBkp(['backup', 'redis', 'nobody'], only({ ops: {} }))).code).toBe(6);
    expect(toSlack()).toEqual([expect.stringMatching(/FAILED \(notFound\): redis has no such entry as "nobody"/)]);
  });

  it('a hook that fails is told without the secret that it printed', async () => {
    const run = only({ ops: {}, any: {} }, config => {
      config['environments'].production.redis.app.hooks = {
        after: ['sh', '-c', 'echo "$TOKEN"; exit 3'],
        env: { TOKEN: '${HOOK_TOKEN}' },
      };
    });
    expect((await runBkp(['backup', 'redis'], run)).code).toBe(3);
    expect(toSlack()).toEqual([expect.stringMatching(/PARTIAL \(partial\): .*hook after \(sh\) failed: it ended with exit code 3/)]);
    expect(JSON.stringify(web.asked)).not.toContain(SECRETS.HOOK_TOKEN);
  });
});

describe('restore', () => {
  it('is told with its place; a plan and what a person breaks off are not', async () => {
    const all = { on: ['start', 'success', 'failure', 'partial'] };
    const run = only({ ops: all, check: {} });
    const restore = ['restore', 'redis', 'app', '--latest', '--to'];
    expect((await runBkp([...restore, join(tempDir(), 'a'), '--dry-run'], run)).code).toBe(0);
    expect(web.asked).toEqual([]);
    const to = join(tempDir(), 'b');
    expect((await runBkp([...restore, to, '--yes'], run)).code).toBe(0);
    expect(toCheck()).toEqual(['/start', '/0']);
    expect(toSlack()).toEqual([
      expect.stringContaining('restore redis/app: started'),
      expect.stringContaining(`redis/app: ok: back in ${to}`),
    ]);
    web.asked.length = 0;
    expect((await runBkp([...restore, to, '--yes'], run)).code).toBe(4);
    expect(toCheck()).toEqual(['/start', '/4']);
    expect(toSlack().at(-1)).toMatch(/restore redis\/app: FAILED\nredis\/app: FAILED \(refused\): /);
  });
});
