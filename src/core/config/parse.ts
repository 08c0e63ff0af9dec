import { type Document, LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { BkpError } from '../errors.ts';
import { joinKey } from '../key.ts';
import { type Fault, offsetOf, refusal, zodFaults } from './faults.ts';
import { type Config, configShape, type Environment, type Registry, type TargetEntry } from './schema.ts';

/** JSON Schema of a config, for editors (`# yaml-language-server: $schema=…`). */
export const configJsonSchema = (registry: Registry): Record<string, unknown> =>
  z.toJSONSchema(configShape(registry), { io: 'input', unrepresentable: 'any' }) as Record<string, unknown>;

type JsonSchema = {
  properties?: Record<string, JsonSchema>;
  additionalProperties?: JsonSchema | boolean;
  oneOf?: JsonSchema[];
  anyOf?: JsonSchema[];
  items?: JsonSchema;
};

const step = (schema: JsonSchema, key: PropertyKey): JsonSchema[] => {
  const options = [schema, ...(schema.oneOf ?? []), ...(schema.anyOf ?? [])];
  return options.flatMap(option => {
    const own = option.properties?.[String(key)] ?? (typeof key === 'number' ? option.items : undefined);
    if (own) return [own];
    return typeof option.additionalProperties === 'object' ? [option.additionalProperties] : [];
  });
};

const allowedIn =
  (schema: JsonSchema) =>
  (path: readonly PropertyKey[]): string[] => {
    const at = path.reduce<JsonSchema[]>((schemas, key) => schemas.flatMap(each => step(each, key)), [schema]);
    return [
      ...new Set(
        at.flatMap(each => [each, ...(each.oneOf ?? []), ...(each.anyOf ?? [])]).flatMap(each => Object.keys(each.properties ?? {})),
      ),
    ];
  };

function read(text: string, file: string, lines: LineCounter): Document {
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, prettyErrors: false, stringKeys: true });
  const faults = document.errors.map(error => ({ at: error.pos[0], text: yamlFault(error.message, text, error.pos[0]) }));
  if (faults.length > 0) throw refusal(file, faults, lines);
  if (document.contents === null || text.trim() === '') {
    throw new BkpError('usage', `${file}:1:1: the file is empty; it needs keys: and environments:`, {
      next: 'docs/example.yaml is a whole example',
    });
  }
  return document;
}

const yamlFault = (message: string, text: string, at: number): string =>
  text[at] === '\t' || /tab/i.test(message) ? 'a tab indents here; YAML wants spaces' : message.replace(/\s+/g, ' ');

type Raw = z.infer<ReturnType<typeof configShape>>;

/** What the shape alone cannot say: names that point to other parts of the file. */
function crossFaults(raw: Raw, registry: Registry, document: Document): Fault[] {
  const faults: Fault[] = [];
  const tell = (path: (string | number)[], text: string) => faults.push({ at: offsetOf(document, path), text });
  if (raw.keys.recipients.length === 0 && !raw.keys.unencrypted) {
    tell(['keys', 'recipients'], 'keys.recipients is empty: backups would not be encrypted; if that is meant, say keys.unencrypted: true');
  }
  const names = Object.keys(raw.environments);
  if (raw.defaultEnv && !names.includes(raw.defaultEnv))
    tell(['defaultEnv'], `defaultEnv is "${raw.defaultEnv}", and the environments are ${names.join(', ')}`);
  for (const [env, settings] of Object.entries(raw.environments)) {
    if (settings.restoresFrom && !names.includes(settings.restoresFrom)) {
      tell(
        ['environments', env, 'restoresFrom'],
        `restoresFrom is "${settings.restoresFrom}", and the environments are ${names.join(', ')}`,
      );
    }
    for (const kind of Object.keys(registry.kinds)) {
      for (const [name, entry] of Object.entries(
        (settings as unknown as Record<string, Record<string, Partial<TargetEntry>>>)[kind] ?? {},
      )) {
        storeFaults(['environments', env, kind, name], entry, Object.keys(settings.stores), tell);
      }
    }
  }
  return faults;
}

function storeFaults(
  path: string[],
  entry: Partial<TargetEntry>,
  stores: readonly string[],
  tell: (path: (string | number)[], text: string) => void,
): void {
  const listed: [string[], readonly string[]][] = [
    [[...path, 'stores'], entry.stores ?? []],
    [[...path, 'wal', 'stores'], (entry['wal'] as { stores?: string[] } | undefined)?.stores ?? []],
  ];
  for (const [at, names] of listed) {
    for (const [n, name] of names.entries())
      if (!stores.includes(name)) tell([...at, n], `there is no store "${name}" in this environment (there are ${stores.join(', ')})`);
  }
  const own = entry.stores ?? stores;
  if ((entry.need ?? 1) > own.length) tell([...path, 'need'], `need is ${entry.need}, and this target has ${own.length} store(s)`);
}

function settle(raw: Raw, registry: Registry, file: string): Config {
  const environments = Object.fromEntries(
    Object.entries(raw.environments).map(([name, settings]): [string, Environment] => {
      const { protected: guarded, restoresFrom, prefix, stores } = settings;
      const targets = Object.fromEntries(
        Object.entries(registry.kinds).map(([kind, { defaults }]) => {
          const entries = (settings as unknown as Record<string, Record<string, TargetEntry>>)[kind] ?? {};
          return [
            kind,
            Object.fromEntries(
              Object.entries(entries).map(([entry, value]) => [
                entry,
                { stores: Object.keys(stores), ...defaults, ...defined(value) } as TargetEntry,
              ]),
            ),
          ];
        }),
      );
      return [
        name,
        {
          name,
          protected: guarded,
          prefix: joinKey(prefix),
          stores: stores as Environment['stores'],
          targets,
          ...(restoresFrom ? { restoresFrom } : {}),
        },
      ];
    }),
  );
  const { timezone, weekStart, keys } = raw;
  return {
    file,
    timezone,
    weekStart,
    keys: defined(keys) as Config['keys'],
    environments,
    ...(raw.defaultEnv ? { defaultEnv: raw.defaultEnv } : {}),
    ...(raw.temp ? { temp: raw.temp } : {}),
  };
}

const defined = <T extends object>(value: T): Partial<T> =>
  Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as Partial<T>;

/**
 * Reads a config: YAML, then shape, then references. Secrets stay as they are written.
 * @param file named in every fault
 * @throws BkpError('usage') with every fault at once, each as `file:line:column: what, and what is allowed`
 */
export function parseConfig(text: string, file: string, registry: Registry): Config {
  const lines = new LineCounter();
  const document = read(text, file, lines);
  const parsed = configShape(registry).safeParse(document.toJS());
  if (!parsed.success) throw refusal(file, zodFaults(parsed.error, document, allowedIn(configJsonSchema(registry) as JsonSchema)), lines);
  const faults = crossFaults(parsed.data, registry, document);
  if (faults.length > 0) throw refusal(file, faults, lines);
  return settle(parsed.data, registry, file);
}
