import type { NotifierKind } from '../../core/notify/types.ts';
import { healthchecks } from './healthchecks.ts';
import { ntfy } from './ntfy.ts';
import { slack } from './slack.ts';
import { smtp } from './smtp.ts';
import { webhook } from './webhook.ts';

/** Every type of notifier, one line each. */
export const notifiers: Readonly<Record<string, NotifierKind>> = { healthchecks, ntfy, slack, webhook, smtp };
