import ts from 'typescript';

/** Ids are the first words of a name, or of a part of it, up to a colon: `PG14, PG20: WAL of …`, `MO05 SA13: of which …`. */
const IDS = /\b([A-Z]{1,2}\d{2}(?:,? [A-Z]{1,2}\d{2})*): /g;

/** Every id that the name of a test begins with, or a part of it after a comma. */
export const idsIn = (name: string): string[] => [...name.matchAll(IDS)].flatMap(([, ids]) => ids!.split(/,? /));

/** The texts that are written in a test file; a name may be a row of a table, so that all count. Comments are none. */
export function textsOf(source: string): string[] {
  const texts: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node)) texts.push(node.text);
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('a.test.ts', source, ts.ScriptTarget.Latest));
  return texts;
}
