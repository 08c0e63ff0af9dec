import { quoteYaml } from './yaml.ts';

/** What was found on this host. What is not there is absent or empty. */
export interface Found {
  postgres: readonly { name: string; host: string; port: number; walg: boolean }[];
  redis: readonly { name: string; port: number; password: boolean }[];
  etcd?: { flavor: 'k3s' } | { flavor: 'etcd'; endpoint: string };
  samba: boolean;
  kubectl: boolean;
}

/** One store that was asked for. */
export interface StoreChoice {
  name: string;
  type: 'directory' | 'hetzner' | 'b2' | 's3';
  /** Path of a directory; bucket of the others. */
  place: string;
  region?: string;
  endpoint?: string;
}

export interface Choices {
  env: string;
  stores: readonly StoreChoice[];
  /** The `keys:` block, as `bkp keygen` prints it. */
  keys: string;
  timezone: string;
}

const upper = (name: string): string => name.toUpperCase().replaceAll('-', '_');

/** Names of the variables that the written config refers to. */
export const variablesOf = (found: Found, { stores }: Choices): string[] => [
  ...stores.filter(({ type }) => type !== 'directory').flatMap(({ name }) => [`${upper(name)}_KEY`, `${upper(name)}_SECRET`]),
  ...found.postgres.filter(({ host }) => !host.startsWith('/')).map(({ name }) => `${upper(name)}_PGPASSWORD`),
  ...found.redis.filter(({ password }) => password).map(({ name }) => `${upper(name)}_REDIS_PASSWORD`),
];

const storeLines = ({ name, type, place, region, endpoint }: StoreChoice): string[] => {
  if (type === 'directory') return [`      ${name}: { type: directory, path: ${quoteYaml(place)} }`];
  return [
    `      ${name}:`,
    `        type: ${type}`,
    ...(endpoint ? [`        endpoint: ${quoteYaml(endpoint)}`] : []),
    ...(region ? [`        region: ${quoteYaml(region)}`] : []),
    `        bucket: ${quoteYaml(place)} # it has to exist`,
    `        accessKey: \${${upper(name)}_KEY}`,
    `        secretKey: \${${upper(name)}_SECRET}`,
  ];
};

const postgresLines = ({ postgres }: Found): string[] =>
  postgres.length === 0
    ? [
        '    # postgres: # none was found here',
        '    #   app: { engine: native, host: db.example.org, user: bkp, password: "${APP_PGPASSWORD}", spool: /var/lib/bkp/spool/app }',
      ]
    : [
        '    postgres: # base backups daily at 02:00; `bkp stream postgres` ships the WAL',
        ...postgres.flatMap(({ name, host, port, walg }) => [
          `      ${name}:`,
          walg
            ? "        engine: wal-g # there is a wal-g on PATH; `native` = PostgreSQL's own tools"
            : "        engine: native # PostgreSQL's own tools",
          `        host: ${quoteYaml(host)}${host.startsWith('/') ? ' # directory of the socket' : ''}`,
          `        port: ${port}`,
          '        user: bkp # a role with LOGIN and REPLICATION; `bkp doctor postgres` prints the SQL',
          ...(host.startsWith('/') ? [] : [`        password: \${${upper(name)}_PGPASSWORD}`]),
          ...(walg ? [] : [`        spool: /var/lib/bkp/spool/${name} # where WAL is received before it is stored`]),
        ]),
      ];

const redisLines = ({ redis }: Found): string[] =>
  redis.length === 0
    ? []
    : [
        '    redis: # every 10 minutes, kept for 7 days',
        ...redis.flatMap(({ name, port, password }) => [
          `      ${name}: { port: ${port}${password ? `, password: "\${${upper(name)}_REDIS_PASSWORD}"` : ''} }`,
        ]),
      ];

const etcdLines = ({ etcd }: Found): string[] => {
  if (!etcd) return [];
  if (etcd.flavor === 'k3s') return ['    etcd: # every 12 hours, kept for 7 days, with the server token', '      k3s: { flavor: k3s }'];
  return [
    '    etcd: # every 12 hours, kept for 7 days',
    '      main:',
    '        flavor: etcd',
    `        endpoints: [${quoteYaml(etcd.endpoint)}]`,
    ...(etcd.endpoint.startsWith('https') ? ['        # cacert, cert, key: paths of the client certificate'] : []),
  ];
};

const sambaLines = ({ samba }: Found): string[] =>
  samba ? ['    samba: # daily at 04:00, kept for 90 days; offline, since this host is a DC', '      ad: {}'] : [];

/** A config over what was found, with comments for whoever reads it next. Secrets are references to variables. */
export function configText(found: Found, choices: Choices): string {
  return [
    '# Made by `bkp init`. Every setting: `bkp config schema`; `bkp config show` prints this file with all defaults filled in.',
    ...(choices.timezone === 'UTC' ? [] : [`timezone: ${choices.timezone} # zone of schedules and of times without an offset`]),
    choices.keys.trimEnd(),
    'environments:',
    `  ${choices.env}:`,
    '    # protected: true # a restore asks for the name of the environment',
    ...(found.kubectl ? ['    cluster: {} # for `bkp coverage`: which volumes of the cluster are in no backup'] : []),
    '    stores: # each backup goes into all of them',
    ...choices.stores.flatMap(storeLines),
    ...(choices.stores.length === 1
      ? ['      # a second one elsewhere: `bkp init --store offsite=b2:BUCKET@REGION` shows how it is written']
      : []),
    ...postgresLines(found),
    ...redisLines(found),
    ...etcdLines(found),
    ...sambaLines(found),
    '',
  ].join('\n');
}
