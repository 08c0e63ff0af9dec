/** Which directories of a user, and where they are below HOME unless their variable says otherwise. */
const USUAL = { XDG_CACHE_HOME: '.cache', XDG_CONFIG_HOME: '.config', XDG_STATE_HOME: '.local/state' } as const;

/**
 * A directory of the XDG Base Directory Specification, which has a relative one ignored: it would be another one wherever bkp is run.
 * @returns undefined where neither its variable nor HOME says
 */
export function xdgHome(env: Readonly<Record<string, string | undefined>>, name: keyof typeof USUAL): string | undefined {
  const named = env[name];
  if (named?.startsWith('/')) return named;
  return env['HOME'] ? `${env['HOME']}/${USUAL[name]}` : undefined;
}
