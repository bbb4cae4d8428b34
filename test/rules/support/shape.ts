import ts from 'typescript';
import type { File } from './files.ts';
import { lineOf, nodesOf, treeOf } from './syntax.ts';

const FILE_LINES_MAX = 250;
const FUNCTION_LINES_MAX = 60;

export function longFiles(files: readonly File[]): readonly string[] {
  return files.flatMap(({ path, text }) => {
    const lines = text.replace(/\n$/, '').split('\n').length;
    return lines > FILE_LINES_MAX ? [`${path}: ${lines} lines`] : [];
  });
}

/** `path name: lines`, for every function longer than allowed, from its name to its last brace. */
export function longFunctions(files: readonly File[]): readonly string[] {
  return files.flatMap((file) =>
    [...nodesOf(treeOf(file))].filter(hasBody).flatMap((node) => {
      const lines = lineOf(file, node.getEnd()) - lineOf(file, node.getStart()) + 1;
      return lines > FUNCTION_LINES_MAX ? [`${file.path} ${nameOf(node)}: ${lines} lines`] : [];
    }),
  );
}

function nameOf(node: ts.Node): string {
  for (const one of [node, node.parent]) {
    if ('name' in one && one.name instanceof Object && 'text' in one.name) return String(one.name.text);
  }
  return 'unnamed';
}

function hasBody(node: ts.Node): boolean {
  return ts.isFunctionLike(node) && 'body' in node && node.body !== undefined;
}

/** Exported functions, declared or as constants, without a doc comment on the line before. */
export function undescribed(files: readonly File[]): readonly string[] {
  return files.flatMap((file) =>
    treeOf(file).statements.flatMap((statement) =>
      isDescribed(file, statement)
        ? []
        : exportedFunctionsOf(statement).map((name) => `${file.path} ${name}: no doc comment`),
    ),
  );
}

function exportedFunctionsOf(statement: ts.Statement): readonly string[] {
  if (!ts.canHaveModifiers(statement)) return [];
  const exported = ts.getModifiers(statement)?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false;
  if (!exported) return [];
  if (ts.isFunctionDeclaration(statement)) return [statement.name?.text ?? 'default'];
  if (!ts.isVariableStatement(statement)) return [];
  return statement.declarationList.declarations.flatMap(({ name, initializer }) =>
    initializer !== undefined && isFunction(initializer) ? [name.getText()] : [],
  );
}

function isFunction(node: ts.Expression): boolean {
  if (ts.isParenthesizedExpression(node) || ts.isSatisfiesExpression(node) || ts.isAsExpression(node)) {
    return isFunction(node.expression);
  }
  return ts.isArrowFunction(node) || ts.isFunctionExpression(node);
}

function isDescribed(file: File, statement: ts.Statement): boolean {
  const start = statement.getStart();
  const comment = ts.getLeadingCommentRanges(file.text, statement.getFullStart())?.at(-1);
  if (comment === undefined) return false;
  const text = file.text.slice(comment.pos, comment.end);
  return /^\/\*\*[\s*]*[^\s*/]/.test(text) && /^[ \t]*\r?\n?[ \t]*$/.test(file.text.slice(comment.end, start));
}
