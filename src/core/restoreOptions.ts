/**
 * Options of `bkp restore` that only one kind has, as commander writes them. They stand here and not with the targets, since help and
 * usage errors come before any target is loaded.
 */
export const restoreOptions: Readonly<Record<string, readonly { flags: string; text: string }[]>> = {
  volumes: [
    { flags: '--server <id>', text: 'whose snapshot; needed where the backup has several' },
    { flags: '--new-server <name>', text: 'make a new server of this name from the snapshot' },
    { flags: '--server-type <type>', text: 'type of the new server; default: as it was' },
    { flags: '--location <location>', text: 'where the new server is made' },
    { flags: '--rebuild <id>', text: 'destroy the disk of this server and write the snapshot over it' },
  ],
};
