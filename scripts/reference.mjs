// Writes docs/reference.md, docs/bkp.1, docs/IMPORTS.md, docs/config.schema.json and deploy/grafana/bkp.json from the program itself: its commands,
// its exit codes, the schema of its config, its figures.
// `node scripts/reference.mjs` writes; with --check it ends with 1 where a file is not what it would write.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { registry } from '../src/app.ts';
import { EXIT_HELP } from '../src/commands/session.ts';
import { NAME } from '../src/core/config/fields.ts';
import { configJsonSchema } from '../src/core/config/index.ts';
import { DURATION } from '../src/core/duration.ts';
import { EXIT } from '../src/core/errors.ts';
import { build } from '../src/main.ts';
import { dashboard } from './dashboard.mjs';
import { importsPage } from './imports.mjs';
import { manPage } from './manPage.mjs';

const WIDTH = 110;
const root = fileURLToPath(new URL('..', import.meta.url));

const fence = text => ['```text', text.trim(), '```'].join('\n');
const cell = text => String(text).replaceAll('|', '\\|');
const table = (head, rows) =>
  [head, head.map(() => '-'), ...rows.map(row => row.map(cell))].map(row => `| ${row.join(' | ')} |`).join('\n');

/** `bkp wal push`: a command with the names of those above it. */
const fullName = command => (command.parent ? `${fullName(command.parent)} ${command.name()}` : command.name());

/** The help as a terminal of a fixed width would show it; the exit codes, equal everywhere, stand once at the end of the page. */
function help(command) {
  command.configureOutput({ getOutHelpWidth: () => WIDTH, getOutHasColors: () => false });
  return [`### ${fullName(command)}`, fence(command.helpInformation())];
}

/** A command that only holds others says nothing that they do not say. */
const helps = command => [
  ...(command.commands.length > 0 && command.parent ? [] : help(command)),
  ...command.commands.filter(each => each.name() !== 'help').flatMap(helps),
];

const exits = () => [
  '## Exit codes',
  fence(EXIT_HELP),
  '`bkp wal fetch` speaks to PostgreSQL: 0, 74 at the proven end of the WAL, 255 for anything else. `bkp wal push` fails with 1 to 125.',
  'With `--json` the code has a name:',
  table(
    ['exit', '`code`'],
    Object.entries(EXIT).map(([name, code]) => [code, `\`${name}\``]),
  ),
];

const bounds = ({ minimum, maximum }) => (minimum === undefined ? '' : `, ${minimum} to ${maximum}`);

/** The type of a field in words. */
function typeOf(field) {
  if (field.const !== undefined) return `\`${field.const}\``;
  if (field.enum) return field.enum.map(value => `\`${value}\``).join(', ');
  if (field.type === 'array') return `list: ${typeOf(field.items)}`;
  if (field.type === 'integer') return `whole number${bounds(field)}`;
  if (field.type === 'number') return 'number';
  if (field.type === 'object') return 'map';
  if (field.type === 'boolean') return '`true`, `false`';
  if (field.pattern === NAME.source) return 'name';
  return field.pattern === DURATION.source ? 'duration' : 'text';
}

const defaultOf = (field, required) => {
  if (required) return 'required';
  return field.default === undefined ? '' : `\`${JSON.stringify(field.default).replace(/^"(.*)"$/, '$1')}\``;
};

/** Maps of names (environments, stores, entries) get a section of their own; other maps are written out with dots. */
const isNamed = ({ additionalProperties: each }) => Boolean(each?.properties ?? each?.oneOf);

function rows(schema, path = '') {
  return Object.entries(schema.properties).flatMap(([key, field]) => {
    const at = `${path}${key}`;
    if (isNamed(field)) return [];
    if (field.properties) return rows(field, `${at}.`);
    const own = [`\`${at}\``, typeOf(field), defaultOf(field, schema.required?.includes(key)), field.description ?? ''];
    return [own, ...(field.items?.properties ? rows(field.items, `${at}[].`) : [])];
  });
}

const fields = (title, schema) => [`### ${title}`, table(['field', 'type', 'default', 'what'], rows(schema))];

function sections(title, schema) {
  if (schema.oneOf) return schema.oneOf.flatMap(one => sections(`${title}, ${chosenBy(one.properties)}`, one));
  const named = Object.entries(schema.properties).filter(([, field]) => isNamed(field));
  return [...fields(title, schema), ...named.flatMap(([key, field]) => sections(`${nameOf(title, key)}`, field.additionalProperties))];
}

/** The field by whose value one of several shapes is chosen. */
const chosenBy = ({ type, engine }) => (type?.const ? `type: ${type.const}` : `engine: ${engine.const}`);

const nameOf = (title, key) => (title === 'The file' ? `${key}.NAME` : `${title}.${key}.NAME`);

function page(schema) {
  const parts = [
    '# Reference',
    'Generated from the program by `node scripts/reference.mjs`; not edited by hand. How to write the config: [how-to/configure.md](how-to/configure.md). What `--json` prints: [CLI_JSON.md](CLI_JSON.md).',
    '## Commands',
    'Options of `bkp` itself may stand before or after the command.',
    ...helps(build()),
    ...exits(),
    '## Config',
    'A whole file: [example.yaml](example.yaml). JSON Schema: [config.schema.json](config.schema.json), or `bkp config schema`.',
    'A duration is a whole number and a unit: `ms`, `s`, `m`, `h`, `d`, `w`. A name is small letters, digits and `-`, 1 to 63. Text may hold `${NAME}`, `${file:/path}` and `${file:./path}`.',
    ...sections('The file', schema),
  ];
  return `${parts.join('\n\n')}\n`;
}

/** As `npm run lint` wants it: tables aligned. */
const formatted = (name, text) =>
  execFileSync(fileURLToPath(new URL('../node_modules/.bin/biome', import.meta.url)), ['format', `--stdin-file-path=${name}`], {
    cwd: root,
    input: text,
    encoding: 'utf8',
  });

const schema = configJsonSchema(registry);
const files = {
  'docs/reference.md': formatted('docs/reference.md', page(schema)),
  'docs/IMPORTS.md': formatted('docs/IMPORTS.md', importsPage(`${root}/src`)),
  'docs/bkp.1': manPage(build(), EXIT_HELP),
  'deploy/grafana/bkp.json': formatted('deploy/grafana/bkp.json', JSON.stringify(dashboard())),
  'docs/config.schema.json': `${JSON.stringify(schema, null, 2)}\n`,
};

const written = file => {
  try {
    return readFileSync(`${root}/${file}`, 'utf8');
  } catch {
    return undefined;
  }
};

if (process.argv.includes('--check')) {
  const old = Object.keys(files).filter(file => written(file) !== files[file]);
  if (old.length > 0) {
    process.stderr.write(`${old.join(' and ')}: not what the program says today; run \`node scripts/reference.mjs\`\n`);
    process.exitCode = 1;
  }
} else {
  for (const [file, text] of Object.entries(files)) writeFileSync(`${root}/${file}`, text);
}
