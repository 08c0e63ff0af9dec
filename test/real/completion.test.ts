import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setUpRedis } from './redissetup.ts';
import { bkpCommand, cleanUp, run, startRedis, tempDir } from './rig/index.ts';

afterAll(cleanUp);

/** Types into a shell at a terminal, and gives back what it shows. */
const TYPIST = `
import os, pty, select, sys, time
shell, setup, text = sys.argv[1].split(), sys.argv[2], sys.argv[3]
pid, fd = pty.fork()
if pid == 0:
    os.execvp(shell[0], shell)
def until(what, seconds):
    seen, end = b'', time.time() + seconds
    while time.time() < end:
        if select.select([fd], [], [], 0.2)[0]:
            try:
                seen += os.read(fd, 4096)
            except OSError:
                break
        if what in seen:
            return seen
    return seen
os.write(fd, setup.encode() + b'; print REA""DY\\n')
until(b'READY', 20)
os.write(fd, text.encode() + b'\\t')
sys.stdout.buffer.write(until(sys.argv[4].encode(), 15))
os.write(fd, b'\\x03')
os.write(fd, b'exit\\n')
os.close(fd)
`;

describe('a Tab in the real shells', () => {
  let path: string;
  let env: Record<string, string>;
  let id: string;
  let set: string;

  beforeAll(async () => {
    const at = await setUpRedis(await startRedis());
    const { stdout } = await at.bkp('backup', 'full-dr', '--json');
    const result = JSON.parse(stdout.trim().split('\n').at(-1)!);
    [id, set] = [result.backups[0].id, result.set];
    const dir = tempDir();
    const [file, args] = bkpCommand([]);
    writeFileSync(join(dir, 'bkp'), `#!/bin/sh\nexec ${file} ${args.join(' ')} "$@"\n`);
    chmodSync(join(dir, 'bkp'), 0o755);
    path = `${dir}:${process.env['PATH']}`;
    env = { PATH: path, HOME: tempDir(), BKP_CONFIG: at.run.config, TERM: 'xterm', LC_ALL: 'C.UTF-8' };
  });

  const bash = (...words: string[]) =>
    run(
      'bash',
      [
        '-c',
        'source <(bkp completion bash); COMP_WORDS=(bkp "$@"); COMP_CWORD=$#; _bkp; printf "%s\\n" "${COMPREPLY[@]}"',
        'bash',
        ...words,
      ],
      { env },
    );

  it('bash: commands, names and ids', async () => {
    expect((await bash('resto')).stdout.trim()).toBe('restore');
    expect((await bash('restore', 'redis', '')).stdout.trim()).toBe('app');
    expect((await bash('restore', 'redis', 'app', '--from-backup', id.slice(0, 4))).stdout.trim()).toBe(id);
    for (const verb of ['backup', 'restore', 'list', 'drill']) expect((await bash(verb, 'fu')).stdout.trim()).toBe('full-dr');
    expect((await bash('restore', 'full-dr', '--from-backup', set.slice(0, 4))).stdout.trim()).toBe(set);
  });

  it('fish: with what they are', async () => {
    const fish = async (line: string) =>
      (await run('fish', ['--no-config', '-c', `bkp completion fish | source; complete -C '${line}'`], { env })).stdout;
    expect(await fish('bkp resto')).toMatch(/^restore\tbring a target back/);
    expect(await fish(`bkp restore redis app --from-backup ${id.slice(0, 4)}`)).toContain(id);
    expect(await fish('bkp drill fu')).toMatch(/^full-dr\t/);
  });

  it('zsh: at its own line editor', async () => {
    const zsh = (text: string, wanted: string) =>
      run('python3', ['-c', TYPIST, 'zsh -f -i', 'autoload -Uz compinit; compinit -u -D; source <(bkp completion zsh)', text, wanted], {
        env,
      });
    expect((await zsh('bkp resto', 're ')).stdout).toContain('restore');
    expect((await zsh('bkp restore redis ap', 'app ')).stdout).toMatch(/redis app/);
    expect((await zsh('bkp drill fu', 'll-dr ')).stdout).toContain('full-dr');
  });
});
