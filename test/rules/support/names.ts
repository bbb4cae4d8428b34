import ts from 'typescript';
import type { File } from './files.ts';
import { nodesOf, placeOf, treeOf } from './syntax.ts';

const CASE_WORDS: ReadonlySet<string> = new Set(['test', 'it']);

/**
 * The same name, read with the names around it, in two places: a report could not say which promise was broken. Where rows fill a name
 * (`%s`, `$id`), only running it would tell, and it is left alone.
 */
export function sameNames(files: readonly File[]): readonly string[] {
  const places = Map.groupBy(files.flatMap(testsOf), ({ name }) => name);
  return [...places]
    .filter(([, tests]) => tests.length > 1)
    .map(([name, tests]) => `${name}: ${tests.map(({ place }) => place).join(', ')}`);
}

function testsOf(file: File): readonly { readonly name: string; readonly place: string }[] {
  return [...nodesOf(treeOf(file))].flatMap((node) => {
    const name = titleOf(node, (word) => CASE_WORDS.has(word));
    if (name === null || isFilledByRows(node, name)) return [];
    return [{ name: [...titlesAround(node), name].join(' > '), place: placeOf(file, node) }];
  });
}

function titlesAround({ parent }: ts.Node): readonly string[] {
  if (ts.isSourceFile(parent)) return [];
  const title = titleOf(parent, (word) => word === 'describe');
  return title === null ? titlesAround(parent) : [...titlesAround(parent), title];
}

function titleOf(node: ts.Node, accepts: (word: string) => boolean): string | null {
  if (!ts.isCallExpression(node) || !accepts(rootOf(node.expression))) return null;
  const [title] = node.arguments;
  if (title === undefined || !(ts.isStringLiteralLike(title) || ts.isTemplateExpression(title))) return null;
  return title.getText().slice(1, -1);
}

/** `test.each(rows)('...%s...')`. */
function isFilledByRows(node: ts.Node, name: string): boolean {
  return ts.isCallExpression(node) && ts.isCallExpression(node.expression) && /[%$][\w#]/.test(name);
}

/** `test` of `test.skipIf(away).each(rows)`. */
function rootOf(callee: ts.Expression): string {
  if (ts.isCallExpression(callee) || ts.isPropertyAccessExpression(callee)) return rootOf(callee.expression);
  return ts.isIdentifier(callee) ? callee.text : '';
}
