/** Beginning of a command, or of an output, → why. */
type Reasons = Readonly<Record<string, string>>;

/** Every command in the docs that no test runs, by its page. */
export const NOT_RUN: Readonly<Record<string, Reasons>> = {
  'docs/how-to/container.md': {
    'docker build': 'needs a docker daemon and registries; the set-up builds the image of the tests from the same Dockerfile with buildah',
  },
  'docs/how-to/etcd.md': {
    'bkp restore etcd main --latest --online --yes': 'resets a K3s; test/real/k3s.test.ts does it, step by step, on its stand-in',
  },
  'docs/how-to/kubernetes.md': {
    'kubectl --namespace shop logs': 'the control plane of the tests has no node that runs a pod',
  },
  'docs/how-to/volumes.md': {
    'kubectl --namespace apps scale': 'needs a cluster whose nodes run pods',
    'bkp restore volumes claims': 'needs a node that runs a Job; test/real/filesClaims.test.ts does it on a stand-in of the cluster',
  },
  'docs/how-to/samba.md': {
    'samba-tool user create backup': 'asks for a password, past everything that a test can type into',
  },
  'docs/how-to/one-file.md': {
    'npm ci && npm run onefile':
      'test/real/onefile.test.ts runs what the second is before it goes through the page; the first is the set-up',
  },
  'README.md': {
    'npm run demo': 'takes minutes; the drill and full-dr tests do the same, and it is run by hand before a release',
    'npm test': 'is what runs this',
  },
};

/** Every output in the docs that is not compared with what came out, by its page. */
export const NOT_SHOWN: Readonly<Record<string, Reasons>> = {
  'docs/how-to/monitoring.md': {
    STATE: 'shows a server that lags for an hour beside a lost disk; test/real/status.test.ts makes each of these lines',
  },
  'docs/how-to/windows.md': {
    TARGET: 'shows two stores after a failover, a restore and a lost segment, which test/real/failover.test.ts and windows.test.ts make',
  },
};
