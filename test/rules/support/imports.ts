import { posix } from 'node:path';
import ts from 'typescript';
import type { File } from './files.ts';
import { nodesOf, placeOf, treeOf } from './syntax.ts';

/** One import of a file; `target` is a path of the project, a package's name, `node:...`, or null where only running it would tell. */
export type Import = { readonly place: string; readonly target: string | null; readonly kind: 'file' | 'package' };

/** Every way in which a file names another: import, export from, import(), require(), import types. */
export function importsOf(file: File): readonly Import[] {
  return [...nodesOf(treeOf(file))].flatMap((node) => {
    const specifier = specifierOf(node);
    if (specifier === undefined) return [];
    const place = placeOf(file, node);
    if (!ts.isStringLiteralLike(specifier)) return [{ place, target: null, kind: 'file' }];
    return [{ place, ...targetOf(file.path, specifier.text) }];
  });
}

function specifierOf(node: ts.Node): ts.Node | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return node.moduleSpecifier;
  if (ts.isExternalModuleReference(node)) return node.expression;
  if (ts.isImportTypeNode(node)) return ts.isLiteralTypeNode(node.argument) ? node.argument.literal : node.argument;
  if (!ts.isCallExpression(node)) return undefined;
  const { expression: callee } = node;
  const loads = callee.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(callee) && callee.text === 'require');
  return loads ? (node.arguments[0] ?? node) : undefined;
}

function targetOf(from: string, specifier: string): Pick<Import, 'target' | 'kind'> {
  if (specifier.startsWith('.')) {
    return { target: posix.normalize(posix.join(posix.dirname(from), specifier)), kind: 'file' };
  }
  if (specifier.startsWith('node:')) return { target: specifier, kind: 'package' };
  const [first = '', second = ''] = specifier.split('/');
  return { target: first.startsWith('@') ? `${first}/${second}` : first, kind: 'package' };
}
