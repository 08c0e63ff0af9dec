import type { ExitName } from '../errors.ts';
import type { State, StatusReport, TargetStatus, Why } from './types.ts';

const BY_WEIGHT: readonly State[] = ['ok', 'unknown', 'late', 'failing'];

/** The worst of several states; `ok` of none. */
export const worstState = (states: readonly State[]): State => BY_WEIGHT[Math.max(0, ...states.map(state => BY_WEIGHT.indexOf(state)))]!;

export const stateOf = (why: readonly Why[]): State => worstState(why.map(({ state }) => state));

export const isRed = (state: State): boolean => state === 'late' || state === 'failing';

/** Source and stores of a target, each with its state. */
export const partsOf = ({ source, stores }: Pick<TargetStatus, 'source' | 'stores'>): readonly { state: State; why: readonly Why[] }[] => [
  ...stores,
  ...(source ? [source] : []),
];

/**
 * How `status` ends.
 * @returns 'storeUnreachable' only when no store of any target answers, 'unhealthy' when anything is red
 */
export function exitOf({ targets, drills, kit, notifiers = [] }: Pick<StatusReport, 'targets' | 'drills' | 'kit' | 'notifiers'>): ExitName {
  if (targets.every(({ stores }) => stores.every(({ up }) => !up))) return 'storeUnreachable';
  return [...targets, drills, ...(kit ? [kit] : []), ...notifiers].some(({ state }) => isRed(state)) ? 'unhealthy' : 'done';
}
