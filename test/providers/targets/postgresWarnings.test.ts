import { expect, it } from '@jest/globals';
import { isServersWarning } from '../../../src/providers/targets/postgres/capture.ts';

it.each([
  'WARNING:  skipping special file "./odd"',
  'WARNUNG:  überspringe besondere Datei »./odd«',
  'ATTENTION :  ignore le fichier spécial « ./odd »',
  'ATTENTION:  ignore le fichier spécial',
  'ПРЕДУПРЕЖДЕНИЕ:  специальный файл пропускается',
  '警告:  特殊ファイルをスキップしています',
])('CF16: %s is a warning, in whatever language the server speaks', line => expect(isServersWarning(line)).toBe(true));

it.each([
  'NOTICE:  WAL archiving is not enabled',
  'pg_basebackup: initiating base backup, waiting for checkpoint to complete',
  'pg_basebackup: write-ahead log start point: 0/2000028 on timeline 1',
  '  1234/5678 kB (21%), 0/1 tablespace (.../pg_wal)',
  '5678/5678 kB (100%), 1/1 tablespace',
  '',
])('%s is none', line => expect(isServersWarning(line)).toBe(false));
