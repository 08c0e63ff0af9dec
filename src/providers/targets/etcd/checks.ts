import * as z from 'zod';
import { checkName, checksOf, expectation, judgeFound } from '../../../core/config/checks.ts';
import type { Trial } from '../../../core/contracts.ts';

const word = z
  .string()
  .regex(/^[^-\s]\S*$/, { error: 'is no single word, or begins like an option' })
  .optional();

interface Question {
  prefix?: string | undefined;
  get?: string | undefined;
  namespace?: string | undefined;
  selector?: string | undefined;
  jsonpath?: string | undefined;
}

const hasOneQuestion = ({ prefix, get }: Question): boolean => (prefix === undefined) !== (get === undefined);
const isOfGet = ({ get, namespace, selector, jsonpath }: Question): boolean =>
  get !== undefined || [namespace, selector, jsonpath].every(each => each === undefined);

/** The checks of an entry. */
export const checks = checksOf(
  z
    .strictObject({
      ...expectation,
      prefix: z
        .string()
        .min(1)
        .optional()
        .describe('prefix of keys that are counted; objects of Kubernetes lie under /registry/, e.g. /registry/deployments/'),
      get: word.describe(
        'what `kubectl get` is asked of a kube-apiserver that is started on the copy: `deployments`, which are counted, or `deployment/web`',
      ),
      namespace: word.describe('of `get`; default: all'),
      selector: word.describe('labels of `get`, such as app=web'),
      jsonpath: z
        .string()
        .regex(/^\{.*\}$/, { error: 'is no JSONPath of kubectl, such as {.spec.replicas}' })
        .optional()
        .describe('of `get`: this comes out instead of a number'),
    })
    .refine(hasOneQuestion, { error: 'needs either prefix or get' })
    .refine(isOfGet, { error: 'namespace, selector and jsonpath belong to get' }),
);

export type Check = z.infer<typeof checks>[number];

/** A check that needs a control plane, not only its keys. */
export type Get = Check & { get: string };

export const isGet = (check: Check): check is Get => check.get !== undefined;

const asks = ({ prefix, get, namespace, selector, jsonpath }: Check): string =>
  get === undefined
    ? `keys ${prefix}`
    : ['get', get, ...(namespace ? ['-n', namespace] : []), ...(selector ? ['-l', selector] : []), ...(jsonpath ? [jsonpath] : [])].join(
        ' ',
      );

/** What a check is called. */
export const nameOf = (check: Check): string => checkName(check, asks(check));

/** What a count means to whoever wrote the check. */
export const judgeCount = (check: Check, count: number): Omit<Trial, 'name'> => judgeFound(String(count), check);

/** Arguments of kubectl. */
export const getArgs = ({ get, namespace, selector, jsonpath }: Get): string[] => [
  ...['get', get],
  ...(namespace ? ['--namespace', namespace] : get.includes('/') ? [] : ['--all-namespaces']),
  ...(selector ? ['--selector', selector] : []),
  ...['--output', jsonpath ? `jsonpath=${jsonpath}` : 'name'],
];

/** What kubectl printed means to whoever wrote the check. */
export const judgeGot = (check: Get, stdout: string): Omit<Trial, 'name'> =>
  check.jsonpath ? judgeFound(stdout, check) : judgeCount(check, stdout.split('\n').filter(Boolean).length);
