/**
 * Options of `bkp restore` that only one kind has, as commander writes them. They stand here and not with the targets, since help and
 * usage errors come before any target is loaded.
 */
export const restoreOptions: Readonly<Record<string, readonly { flags: string; text: string }[]>> = {};
