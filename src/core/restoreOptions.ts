/**
 * Options of `bkp restore` that only one kind has, as commander writes them. They stand here and not with the targets, since help and
 * usage errors come before any target is loaded.
 */
export const restoreOptions: Readonly<Record<string, readonly { flags: string; text: string }[]>> = {
  samba: [
    { flags: '--server-name <name>', text: 'name of the DC that the restore makes; none that the domain had' },
    { flags: '--host-ip <ip>', text: 'its IPv4 address' },
    { flags: '--site <name>', text: 'site of the domain to put it into; default: Default-First-Site-Name' },
    { flags: '--beside-live-dc', text: 'although a DC of the domain still answers: for a copy that never meets it' },
  ],
  etcd: [
    { flags: '--name <member>', text: 'name of the restored member; default: default' },
    { flags: '--initial-cluster <list>', text: 'all members of the new cluster, NAME=PEER-URL,…; default: this one alone' },
    { flags: '--initial-cluster-token <token>', text: 'token of the new cluster, the same on all members' },
    { flags: '--initial-advertise-peer-urls <urls>', text: 'peer URLs of this member; default: http://localhost:2380' },
  ],
  volumes: [
    { flags: '--server <id>', text: 'whose snapshot; needed where the backup has several' },
    { flags: '--new-server <name>', text: 'make a new server of this name from the snapshot' },
    { flags: '--server-type <type>', text: 'type of the new server; default: as it was' },
    { flags: '--location <location>', text: 'where the new server is made' },
    { flags: '--rebuild <id>', text: 'destroy the disk of this server and write the snapshot over it' },
    { flags: '--path <path>', text: 'of the backed-up paths only this one; its contents lie in the directory itself' },
    { flags: '--include <pattern>', text: 'only files like this, e.g. docs/*.txt below the path, or a whole path' },
  ],
};
