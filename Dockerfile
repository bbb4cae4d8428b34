# Perennial: worker, API and dashboard in one image.
#
# Both stages are Debian 12 with glibc and one and the same Node, so what npm installs in the first runs in the second. Slim and not
# distroless: a distroless image brings a Node of another build, which was tested with nothing here. Images are pinned by tag, because
# this repository was made where no registry of images could be asked; pin them by digest where you can (docker buildx imagetools
# inspect node:26-bookworm-slim) and let a bot move it.

FROM node:26-bookworm-slim AS build
WORKDIR /app
# First what seldom changes, so that a change of the code does not install again.
COPY package.json package-lock.json .npmrc ./
# No install script of any package runs, here or below; the node package, which needs its own, is for hosts with an older Node only.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
COPY jobs ./jobs
RUN npm run build
# Optional too: a compiler comes as the optional peer of a library otherwise, and msgpackr's native half, which BullMQ does not need.
RUN npm prune --omit=dev --omit=optional --ignore-scripts

FROM node:26-bookworm-slim
# Two arenas: glibc keeps one for each thread that ever compressed a pack, and gives little of it back.
ENV NODE_ENV=production DATA_DIR=/data KEYS_DIR=/keys MALLOC_ARENA_MAX=2
WORKDIR /app
# Volumes mounted here take over this owner. Everything else may be read-only; Node itself wants a /tmp.
RUN install -d -m 0700 -o 1000 -g 1000 /data /keys
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
# By number, so that Kubernetes' runAsNonRoot can tell. The files above stay root's: the process cannot change its own code.
USER 1000:1000
VOLUME ["/data", "/keys"]
EXPOSE 3000
STOPSIGNAL SIGTERM
# Alive, not ready: a database that is away must not make an orchestrator kill the worker. The start migrates the database first.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.PORT || 3000) + '/healthz').then((reply) => process.exit(reply.ok ? 0 : 1), () => process.exit(1))"]
# node itself is process 1 and gets the signals; no shell, no npm between. The two flags keep V8 from letting dead buffers lie
# (docs/decisions.md, "V8 is told to collect early").
CMD ["node", "--max-semi-space-size=8", "--heap-growing-percent=40", "dist/src/main.js", "start"]
