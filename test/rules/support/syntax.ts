import ts from 'typescript';
import type { File } from './files.ts';

const trees = new WeakMap<File, ts.SourceFile>();

/** The syntax tree of a file, with parents. */
export function treeOf(file: File): ts.SourceFile {
  const known = trees.get(file);
  if (known !== undefined) return known;
  const tree = ts.createSourceFile(file.path, file.text, ts.ScriptTarget.ESNext, true);
  trees.set(file, tree);
  return tree;
}

/** Every node under one, itself included, outer ones first. */
export function* nodesOf(node: ts.Node): Generator<ts.Node> {
  yield node;
  for (const child of childrenOf(node)) yield* nodesOf(child);
}

function childrenOf(node: ts.Node): readonly ts.Node[] {
  const children: ts.Node[] = [];
  ts.forEachChild(node, (child) => {
    children.push(child);
  });
  return children;
}

/** `path:line`, as editors open it. */
export function placeOf(file: File, node: ts.Node): string {
  return `${file.path}:${lineOf(file, node.getStart())}`;
}

export function lineOf(file: File, position: number): number {
  return treeOf(file).getLineAndCharacterOfPosition(position).line + 1;
}
