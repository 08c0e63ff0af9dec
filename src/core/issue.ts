import type * as z from 'zod';

/** What a schema finds wrong first, for a sentence: `pieces.0.name: Invalid input: …`. */
export function firstIssue(error: z.ZodError): string {
  const issue = error.issues[0]!;
  const text = issue.message.replace(/expected (.+), received undefined$/, 'expected $1, and it is missing');
  return issue.path.length > 0 ? `${issue.path.map(String).join('.')}: ${text}` : text;
}
