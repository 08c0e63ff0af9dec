export default {
  testEnvironment: 'node',
  testEnvironmentOptions: { globalsCleanup: 'off' },
  extensionsToTreatAsEsm: ['.ts'],
  transform: { '^.+\\.ts$': ['@swc/jest', { jsc: { target: 'es2023', parser: { syntax: 'typescript' } }, module: { type: 'es6' } }] },
  testMatch: ['<rootDir>/test/**/*.test.ts'],
  testSequencer: '<rootDir>/test/sequencer.js',
  setupFiles: ['<rootDir>/test/seed.ts'],
  // Ends what hangs; no test is to fail for being slow, and none sets a time of its own.
  testTimeout: 300_000,
  // One more than a small machine has cores: suites wait for servers more than a third of their time.
  maxWorkers: 3,
};
