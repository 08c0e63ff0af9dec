import { parse as parseHtml, type DefaultTreeAdapterTypes as Tree } from 'parse5';

export type Element = Tree.Element;

export const parse = (html: string): Tree.Document => parseHtml(html);

/** Every element below a node, in the order of the page. */
export function elements(node: Tree.ParentNode): Element[] {
  return node.childNodes.flatMap(child => ('tagName' in child ? [child, ...elements(child)] : []));
}

export const attribute = (element: Element, name: string): string | undefined => element.attrs.find(each => each.name === name)?.value;

export const classesOf = (element: Element): string[] => (attribute(element, 'class') ?? '').split(' ');

/** Elements below a node by tag and class. */
export const all = (node: Tree.ParentNode, tag: string, name?: string): Element[] =>
  elements(node).filter(element => element.tagName === tag && (name === undefined || classesOf(element).includes(name)));

export function textOf(node: Tree.ParentNode): string {
  return node.childNodes.map(child => ('value' in child ? child.value : 'childNodes' in child ? textOf(child) : '')).join('');
}

/** Rows of the body of a table. */
export const rowsOf = (table: Element): Element[] => all(all(table, 'tbody')[0]!, 'tr');

/** Tags and names of attributes in order: what a page is made of, whatever its texts say. */
export const skeleton = (html: string): string =>
  elements(parse(html))
    .map(({ tagName, attrs }) => `${tagName} ${attrs.map(({ name }) => name).join(' ')}`)
    .join('\n');
