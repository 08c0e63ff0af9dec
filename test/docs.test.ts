import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { expect, it } from '@jest/globals';
import { fault } from './parses.ts';
import { blocksOf } from './real/docs/blocks.ts';
import { NOT_RUN, NOT_SHOWN } from './real/docs/exceptions.ts';
import { commandsToRun } from './real/docs/page.ts';
import { node24, root } from './real/rig/places.ts';

/** What the benchmarks printed, tables in which bkp is a name among others. */
const FIGURES = 'docs/BENCHMARKS.md';

const pages = ['README.md', ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' }).map(path => `docs/${path}`)].filter(
  path => path.endsWith('.md') && path !== FIGURES,
);

const textOf = (page: string): string => readFileSync(join(root, page), 'utf8');

interface Line {
  at: string;
  text: string;
}

/** Lines of the fenced blocks of a page, with the place of each. A line that ends with `\` goes on in the next. */
function fenced(page: string): Line[] {
  const lines: Line[] = [];
  let inside = false;
  for (const [n, text] of textOf(page).split('\n').entries()) {
    const last = lines.at(-1);
    if (text.trimStart().startsWith('```')) inside = !inside;
    else if (inside && last?.text.endsWith('\\')) last.text = `${last.text.slice(0, -1)} ${text.trim()}`;
    else if (inside) lines.push({ at: `${page}:${n + 1}`, text });
  }
  return lines;
}

const BEFORE = /(?:^\s*(?:[$#] )?(?:runuser -u \w+ -- |sudo (?:-u \w+ )?)?(?:[A-Z_]+=\S+ )*|_command = '|ExecStart=|\| )/.source;

/** Where a command begins: a line, a prompt, after sudo and variables, in a setting of PostgreSQL or systemd. Prose and `bkp:` are none. */
const COMMAND = new RegExp(`${BEFORE}(?:[\\w./]*\\/)?bkp (.*)$`);

/** The words of a command line up to what ends it: a comment, a pipe, a redirection, the quote that it stands in. */
function words(text: string): string[] {
  const found: string[] = [];
  for (const match of text.matchAll(/\s*(?:(#.*|[|&;<>]|\d>|'$)|((?:"[^"]*"|'[^']*'|[^\s"'|&;<>])+))/g)) {
    if (match[1] !== undefined) break;
    found.push(match[2]!.replace(/["']/g, ''));
  }
  return found;
}

const commandLines = (): { at: string; args: string[] }[] =>
  pages.flatMap(fenced).flatMap(({ at, text }) => {
    const found = COMMAND.exec(text)?.[1];
    return found === undefined ? [] : [{ at, args: words(found) }];
  });

it('the man page is one without a complaint, and has every command', () => {
  const page = join(root, 'docs/bkp.1');
  const { stdout } = spawnSync('mandoc', ['-T', 'lint', '-W', 'warning', page], { encoding: 'utf8' });
  // It has none, so that it is the same page whenever it is made.
  expect(stdout.split('\n').filter(line => line && !/missing date/.test(line))).toEqual([]);
  const shown = spawnSync('mandoc', ['-T', 'utf8', page], { encoding: 'utf8' }).stdout.replaceAll(/.[\b]/g, '');
  for (const words of ['bkp restore [options] <target> [name]', 'bkp wal push', '--target-time']) expect(shown).toContain(words);
});

it('docs/reference.md is what the program says', () => {
  const { status, stderr } = spawnSync(node24(), [join(root, 'scripts/reference.mjs'), '--check'], { encoding: 'utf8' });
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
});

/** The id that a heading gets in a page: small letters, words joined by `-`. */
const anchor = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}_ -]/gu, '')
    .replaceAll(' ', '-');

const anchors = (path: string): string[] =>
  readFileSync(path, 'utf8')
    .split('\n')
    .filter(line => /^#+ /.test(line))
    .map(line => anchor(line.replace(/^#+ /, '')));

const leads = (page: string, to: string): boolean => {
  const [file, id] = to.split('#');
  const path = file ? resolve(root, dirname(page), file) : join(root, page);
  return existsSync(path) && (!id || anchors(path).includes(id));
};

it('every relative link leads to a file, and to a heading in it', () => {
  const links = pages.flatMap(page => [...textOf(page).matchAll(/\]\(([^)\s]+)\)/g)].map(match => ({ page, to: match[1]! })));
  const relative = links.filter(({ to }) => !/^[a-z]+:/.test(to));
  expect(relative.length).toBeGreaterThan(20);
  expect(relative.filter(({ page, to }) => !leads(page, to))).toEqual([]);
});

it('every page is in the index', () => {
  const index = textOf('docs/README.md');
  const others = pages.filter(page => page.startsWith('docs/') && !/README|decisions/.test(page));
  expect(others.filter(page => !index.includes(`](${page.slice('docs/'.length)})`))).toEqual([]);
});

/** The sentences in the first column of the tables, but those that PostgreSQL says. */
const sentences = (): string[] =>
  textOf('docs/how-to/troubleshooting.md')
    .split('\n')
    .map(line => /^\| (`.*?) +\|/.exec(line)?.[1] ?? '')
    .flatMap(cell => [...cell.matchAll(/`([^`]+)`(?! \()/g)].map(match => match[1]!));

it('every sentence that troubleshooting quotes is one of the program', () => {
  const src = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter(path => path.endsWith('.ts'));
  const code = src.map(path => readFileSync(join(root, 'src', path), 'utf8')).join('\n');
  expect(sentences().length).toBeGreaterThan(25);
  expect(sentences().filter(text => !code.includes(text))).toEqual([]);
});

it('every bkp command of a fenced block is one that the program takes', () => {
  const lines = commandLines();
  expect(lines.length).toBeGreaterThan(20);
  expect(lines.map(({ at, args }) => ({ at, args: args.join(' '), fault: fault(args) })).filter(line => line.fault)).toEqual([]);
});

it('every page with commands is gone through by a test that runs them', () => {
  const real = join(root, 'test/real');
  const tests = readdirSync(real).filter(file => file.endsWith('.test.ts'));
  const text = tests.map(file => readFileSync(join(real, file), 'utf8')).join('\n');
  const withCommands = pages.filter(page => blocksOf(page).some(({ language }) => language === 'sh'));
  expect(withCommands.length).toBeGreaterThan(25);
  const isRun = (page: string): boolean => new RegExp(`\\b(walk|walkPage)\\(\\s*'${page}'|commandsToRun\\('${page}'\\)`).test(text);
  expect(withCommands.filter(page => !isRun(page))).toEqual([]);
  expect(pages.flatMap(commandsToRun).length).toBeGreaterThan(200);
});

it('no command stands in a block that is taken for something else', () => {
  const others = pages.flatMap(page => blocksOf(page).flatMap(block => (block.language === 'sh' ? [] : [{ page, ...block }])));
  expect(others.filter(({ lines }) => lines.some(line => /^(\$ )?bkp /.test(line))).map(({ page, line }) => `${page}:${line}`)).toEqual([]);
});

it('what of the docs is not run, or not compared, is on a page, and has its reason', () => {
  for (const [page, reasons] of [...Object.entries(NOT_RUN), ...Object.entries(NOT_SHOWN)]) {
    expect(pages).toContain(page);
    for (const reason of Object.values(reasons)) expect(reason.length).toBeGreaterThan(15);
  }
});

it('a command that the program does not take is seen', () => {
  const faults = ['lst', 'list --alll', 'list a b c', 'restore', 'keygen', 'wal pop', 'restore postgres --targettime x'];
  expect(faults.map(line => fault(words(line))).filter(each => each === undefined)).toEqual([]);
  expect(fault(words(`restore postgres app --target-time "2026-01-15 14:30:00" --to /x --json # why`))).toBeUndefined();
  expect(words(`backup postgres 2>/dev/null`)).toEqual(['backup', 'postgres']);
  expect(words(`wal push app "%f" "%p"'`)).toEqual(['wal', 'push', 'app', '%f', '%p']);
});
