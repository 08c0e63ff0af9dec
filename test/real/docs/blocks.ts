import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../rig/places.ts';

/** A fenced block of a page. */
export interface Block {
  /** Behind the fence: `sh`, `text`, `yaml` … */
  language: string;
  /** Number of its first line in the page. */
  line: number;
  lines: string[];
}

/** Every fenced block of a page (path below the checkout), without the indentation of its fence. */
export function blocksOf(page: string): Block[] {
  const blocks: Block[] = [];
  let open: { block: Block; indent: number } | undefined;
  for (const [n, text] of readFileSync(join(root, page), 'utf8').split('\n').entries()) {
    const fence = /^( *)```(\w*)/.exec(text);
    if (fence && open) {
      blocks.push(open.block);
      open = undefined;
    } else if (fence) open = { block: { language: fence[2]!, line: n + 2, lines: [] }, indent: fence[1]!.length };
    else open?.block.lines.push(text.slice(open.indent));
  }
  return blocks;
}

/** Whether bash sees a whole command: nothing is open, no word of a here-document is missing. */
function isWhole(text: string): boolean {
  const { status, stderr } = spawnSync('bash', ['-n'], { input: `${text}\n`, encoding: 'utf8' });
  return status === 0 && stderr === '' && !/\\$/.test(text);
}

const NOTHING = /^\s*(#.*)?$/;

/** The commands of a block, each with all of its lines. @throws when the last one does not end in the block */
export function commandsOf({ line, lines }: Block): { line: number; text: string }[] {
  const commands: { line: number; text: string }[] = [];
  let open: { line: number; text: string } | undefined;
  for (const [n, text] of lines.entries()) {
    if (!open && NOTHING.test(text)) continue;
    open = { line: open?.line ?? line + n, text: open ? `${open.text}\n${text}` : text };
    if (!isWhole(open.text)) continue;
    commands.push(open);
    open = undefined;
  }
  if (open) throw new Error(`line ${open.line}: bash does not see a whole command in ${open.text}`);
  return commands;
}
