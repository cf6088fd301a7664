import cors from "@fastify/cors"
import type { AnyTRPCRouter } from "@trpc/server"
import { fastifyTRPCPlugin, type FastifyTRPCPluginOptions } from "@trpc/server/adapters/fastify"
import { Effect, type ManagedRuntime } from "effect"
import Fastify, { type FastifyInstance } from "fastify"
import { uuidv7 } from "uuidv7"
import type { Database } from "../db/database.ts"
import type { RedisStore } from "@holdfast/locks"
import { addApiReference } from "./api-reference.ts"
import { type Authenticate, makeContext } from "./context.ts"
import { checkHealth } from "./health.ts"
import { version } from "./version.ts"

/** An order of 10,000 lines fits; more than that is no order. */
const BODY_LIMIT_BYTES = 4 * 1024 * 1024

/** A caller's own request id is taken over when it is harmless in a log line and in a header. */
const REQUEST_ID = /^[\w.:-]{1,64}$/

type Runtime<R> = ManagedRuntime.ManagedRuntime<R | Database | RedisStore, never>

/** What is served: the procedures, and how their callers are known. */
export interface Application<R> {
  readonly router: AnyTRPCRouter
  readonly authenticate: Authenticate<R>
}

/** Fastify with the tRPC procedures under `/trpc` and the health checks. It does not listen yet. */
export const makeHttpServer = async <R>(
  runtime: Runtime<R>,
  { authenticate, router }: Application<R>
): Promise<FastifyInstance> => {
  const app = Fastify({
    logger: false,
    bodyLimit: BODY_LIMIT_BYTES,
    // Batched queries name all their procedures in the path.
    routerOptions: { maxParamLength: 5_000 },
    forceCloseConnections: "idle",
    genReqId: (request) => {
      const given = request.headers["x-request-id"]
      return typeof given === "string" && REQUEST_ID.test(given) ? given : uuidv7()
    }
  })
  await app.register(cors, { origin: true, exposedHeaders: ["x-request-id"] })
  addRequestIds(app)
  addAccessLog(app, runtime)
  addHealth(app, runtime)
  await addApiReference(app, version)
  const closing = new AbortController()
  app.addHook("preClose", async () => closing.abort())
  await app.register(fastifyTRPCPlugin, {
    prefix: "/trpc",
    trpcOptions: {
      router,
      createContext: makeContext(runtime, authenticate, closing.signal)
    }
  } satisfies FastifyTRPCPluginOptions<AnyTRPCRouter>)
  return app
}

const addRequestIds = (app: FastifyInstance): void => {
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-request-id", request.id)
  })
}

const addAccessLog = <R>(app: FastifyInstance, runtime: Runtime<R>): void => {
  app.addHook("onResponse", async (request, reply) => {
    const line = Effect.logInfo("request").pipe(
      Effect.annotateLogs({
        requestId: request.id,
        method: request.method,
        // Without the query string: a batched query carries its inputs there.
        path: request.url.split("?", 1)[0],
        status: reply.statusCode,
        durationMs: Math.round(reply.elapsedTime * 10) / 10
      })
    )
    runtime.runFork(line)
  })
}

const addHealth = <R>(app: FastifyInstance, runtime: Runtime<R>): void => {
  let isClosing = false
  app.addHook("preClose", async () => {
    isClosing = true
  })
  app.get("/livez", async () => ({ status: "alive" }))
  app.get("/readyz", async (_request, reply) => {
    if (isClosing) return reply.code(503).send({ status: "closing" })
    const health = await runtime.runPromise(checkHealth)
    return reply
      .code(health.ready ? 200 : 503)
      .send({ status: health.ready ? "ready" : "not ready", ...health.stores })
  })
}
