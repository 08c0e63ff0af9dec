export { formatAge, formatDuration } from '../core/age.ts';
export { formatBytes } from '../core/size.ts';
export { formatTable } from './table.ts';

/** An instant in UTC to the second: `2026-01-15 02:00:00Z`. */
export const formatInstant = (at: Date): string => `${at.toISOString().slice(0, 19).replace('T', ' ')}Z`;
