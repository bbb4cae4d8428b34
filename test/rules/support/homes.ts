import ts from 'typescript';
import type { File } from './files.ts';
import { nodesOf, placeOf, treeOf } from './syntax.ts';

/** One thing of the outside world, how it shows in code, and where alone it may. */
type Home = { readonly what: string; readonly at: readonly RegExp[]; readonly shows: (node: ts.Node) => boolean };

const SYSTEM = /^src\/adapters\/system\//;
const HOMES: readonly Home[] = [
  { what: 'process.env', at: [/^src\/config\.ts$/], shows: (node) => isMember(node, 'process', 'env') },
  {
    what: 'the clock of the machine',
    at: [SYSTEM],
    shows: (node) =>
      isMember(node, 'Date', 'now') ||
      isMember(node, 'performance', 'now') ||
      isMember(node, 'process', 'hrtime') ||
      isDateOfNow(node),
  },
  {
    what: 'randomness',
    at: [SYSTEM],
    shows: (node) =>
      isMember(node, 'Math', 'random') || isNamed(node, 'randomUUID') || isNamed(node, 'getRandomValues'),
  },
  {
    what: 'random bytes for keys and nonces',
    // store/lock.ts: the token in the lock file tells two processes apart; it runs before there is an entropy port.
    at: [/^src\/adapters\/vault\//, /^src\/main\//, /^src\/adapters\/store\/lock\.ts$/],
    shows: (node) => isNamed(node, 'randomBytes'),
  },
  { what: 'console', at: [], shows: (node) => ts.isIdentifier(node) && node.text === 'console' && !isMemberName(node) },
];

/** Where something of the outside world shows away from its one home. */
export function strays(files: readonly File[]): readonly string[] {
  return files.flatMap((file) => {
    const foreign = HOMES.filter(({ at }) => !at.some((home) => home.test(file.path)));
    return [...nodesOf(treeOf(file))].flatMap((node) =>
      foreign.filter(({ shows }) => shows(node)).map(({ what }) => `${placeOf(file, node)}: ${what}`),
    );
  });
}

/** `object.name`, `object['name']`, `globalThis.object.name`, `const { name } = object`, `import { name } from 'node:object'`. */
function isMember(node: ts.Node, object: string, name: string): boolean {
  if (ts.isPropertyAccessExpression(node)) return node.name.text === name && isObject(node.expression, object);
  if (ts.isElementAccessExpression(node)) {
    const { argumentExpression: key } = node;
    return ts.isStringLiteralLike(key) && key.text === name && isObject(node.expression, object);
  }
  if (ts.isBindingElement(node)) {
    const { initializer } = ts.isVariableDeclaration(node.parent.parent) ? node.parent.parent : {};
    return initializer !== undefined && isObject(initializer, object) && namesOf(node).includes(name);
  }
  return ts.isImportSpecifier(node) && moduleOf(node) === `node:${object}` && namesOf(node).includes(name);
}

function isObject(node: ts.Node, object: string): boolean {
  if (ts.isIdentifier(node)) return node.text === object;
  return ts.isPropertyAccessExpression(node) && node.name.text === object;
}

function namesOf({ name, propertyName }: ts.BindingElement | ts.ImportSpecifier): readonly string[] {
  return [name, propertyName].flatMap((one) => (one !== undefined && ts.isIdentifier(one) ? [one.text] : []));
}

function moduleOf(node: ts.ImportSpecifier): string | null {
  const { moduleSpecifier } = node.parent.parent.parent;
  return ts.isStringLiteral(moduleSpecifier) ? moduleSpecifier.text : null;
}

/** `new Date()` and `Date()`; `new Date(instant)` only writes an instant down. */
function isDateOfNow(node: ts.Node): boolean {
  if (ts.isNewExpression(node)) return isObject(node.expression, 'Date') && (node.arguments ?? []).length === 0;
  return ts.isCallExpression(node) && isObject(node.expression, 'Date');
}

function isNamed(node: ts.Node, name: string): boolean {
  return ts.isIdentifier(node) && node.text === name;
}

/** `logger.console` or `{ console: 1 }`: a name of something else. */
function isMemberName(node: ts.Identifier): boolean {
  const { parent } = node;
  if (ts.isPropertyAccessExpression(parent)) return parent.name === node && !isObject(parent.expression, 'globalThis');
  return ts.isPropertyAssignment(parent) && parent.name === node;
}
