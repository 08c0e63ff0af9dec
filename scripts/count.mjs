// Prints `N passed, N failed` from jest's JSON results; a suite that could not run counts as failed, and so does a run without tests.
import { readFileSync } from 'node:fs';

const results = JSON.parse(readFileSync(process.argv[2], 'utf8'));
const failed = results.numFailedTests + results.numRuntimeErrorTestSuites;
console.log(`${results.numPassedTests} passed, ${failed} failed`);
if (failed > 0 || results.numPassedTests === 0 || !results.success) process.exitCode = 1;
