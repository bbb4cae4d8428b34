import { existsSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { dockerfileFaults } from './support/dockerfile.ts';
import { ROOT, readFile } from './support/files.ts';

const { text } = readFile('Dockerfile');
const packageFile = z
  .object({
    devDependencies: z.object({ node: z.string() }),
    bin: z.object({ perennial: z.string() }),
    exports: z.object({ './client': z.object({ types: z.string(), default: z.string() }) }),
  })
  .parse(JSON.parse(readFile('package.json').text));

/** What `tsc -p tsconfig.build.json` emits, asked of tsc itself without emitting. */
function emittedFiles(): ReadonlySet<string> {
  const file = join(ROOT, 'tsconfig.build.json');
  const { config } = ts.readConfigFile(file, ts.sys.readFile);
  const parsed = ts.parseJsonConfigFileContent(config, ts.sys, ROOT, undefined, file);
  const outputs = parsed.fileNames.flatMap((name) => ts.getOutputFileNames(parsed, name, false));
  return new Set(outputs.map((name) => name.replace(ROOT, '')));
}

const emitted = emittedFiles();
const rules = {
  nodeMajor: packageFile.devDependencies.node.replace(/\..*$/, ''),
  sourceOf: (name: string) => emitted.has(name),
};

describe('the image', () => {
  test('is small, runs without rights, stops by signal, knows its health and starts what the build emits', () => {
    expect(dockerfileFaults({ text, ...rules })).toEqual([]);
  });

  test('copies only what is there, and what .dockerignore lets through', () => {
    const wanted = [...text.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, files = '']) => files.split(' '));
    const open = readFile('.dockerignore')
      .text.split('\n')
      .filter((line) => line.startsWith('!'));
    const plain = wanted.map((name) => name.replace('./', ''));
    expect(plain.filter((name) => !existsSync(join(ROOT, name)))).toEqual([]);
    expect(open.map((line) => line.slice(1)).sort()).toEqual(plain.sort());
    expect(readFile('.dockerignore').text).toMatch(/^\*$/m);
  });

  test('and the package start and export files that the build emits', () => {
    const { types, default: code } = packageFile.exports['./client'];
    const named = [packageFile.bin.perennial, types.replace('./', ''), code.replace('./', '')];
    expect(named.filter((name) => !emitted.has(name))).toEqual([]);
    expect([...emitted].filter((name) => !/^dist\/(?:src|jobs)\//.test(name))).toEqual([]);
    expect(readFile('src/main.ts').text.split('\n')[0]).toBe('#!/usr/bin/env node');
  });
});

describe('the rule of the image', () => {
  test.each([
    ['is not built in stages', /^FROM .* AS build$/m, ''],
    ['is not pinned to a version', /^FROM node:\S+$/m, 'FROM node:latest'],
    ['is not pinned to a version', /^FROM node:\S+$/m, 'FROM node'],
    ['has another Node than the tests', /^FROM node:26/m, 'FROM node:20'],
    ['runs as root, or as a name', /^USER .*$/m, ''],
    ['runs as root, or as a name', /^USER .*$/m, 'USER 0'],
    ['runs as root, or as a name', /^USER .*$/m, 'USER node'],
    ['does not stop by SIGTERM', /^STOPSIGNAL .*$/m, 'STOPSIGNAL SIGKILL'],
    ['is not a production', /NODE_ENV=production/, 'NODE_ENV=test'],
    ['keeps no data', /^VOLUME .*$/m, ''],
    ['keeps no keys', 'KEYS_DIR=/keys', 'KEYS_DIR=/data/keys'],
    ['runs install scripts', /^RUN npm ci .*$/m, 'RUN npm ci'],
    ['installs past the lockfile', /^RUN npm ci /m, 'RUN npm install '],
    ['ships what only builds', /^RUN npm prune .*$/m, ''],
    ['ships more than it runs', /^COPY --from=build \/app\/dist .*$/m, 'COPY --from=build /app ./'],
    ['has no health check by node', /^HEALTHCHECK [^\n]*\n.*$/m, ''],
    ['has no health check by node', /\/healthz/, '/'],
    ['starts what the build does not emit', /^CMD .*$/m, 'CMD ["node", "dist/main.js", "start"]'],
    ['starts what the build does not emit', /^CMD .*$/m, 'CMD npm start'],
    ['holds a secret', /^ENV /m, 'ENV ENCRYPTION_KEYS=k1:abc '],
  ])('sees that it %s (%#)', (fault, from, to) => {
    const broken = text.replace(from, to);
    expect(broken).not.toBe(text);
    expect(dockerfileFaults({ text: broken, ...rules })).toContain(fault);
  });
});
