import cors from "@fastify/cors"
import { API_VERSION } from "@holdfast/domain"
import type { FastifyInstance } from "fastify"
import helmet from "helmet"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { HttpSettings } from "../config.ts"

/** The headers that a browser shows to the application, beside the usual ones. */
const EXPOSED_HEADERS = [
  "x-request-id",
  "retry-after",
  "ratelimit-limit",
  "ratelimit-remaining",
  "ratelimit-reset",
  API_VERSION.header,
  "deprecation",
  "holdfast-deprecated"
].join(", ")

/** How long a browser remembers the answer of a preflight: as long as Chromium does at most. */
const PREFLIGHT_SECONDS = 7_200

/** Adds what browsers need to be told: from where they may call, and what they may do with the answers. */
export const addBrowserHeaders = async (app: FastifyInstance, { origins }: HttpSettings): Promise<void> => {
  const headers = securityHeaders()
  app.addHook("onRequest", (_request, reply, done) => {
    reply.headers(headers)
    done()
  })
  if (origins !== "any" && origins.length === 0) return
  await app.register(cors, {
    origin: origins === "any" ? "*" : [...origins],
    methods: ["GET", "POST"],
    exposedHeaders: EXPOSED_HEADERS,
    maxAge: PREFLIGHT_SECONDS
  })
}

/**
 * Helmet's headers. None of them depends on the request, so they are made once. Answers are data: no browser has a reason
 * to run or to show anything of them, and other origins get them by CORS alone.
 */
const securityHeaders = (): Readonly<Record<string, string>> => {
  const headers: Record<string, string> = {}
  const response = {
    setHeader: (name: string, value: string) => void (headers[name.toLowerCase()] = value),
    removeHeader: () => {}
  } as unknown as ServerResponse
  const contentSecurityPolicy = {
    useDefaults: false,
    directives: { "default-src": ["'none'"], "frame-ancestors": ["'none'"] }
  }
  const setAll = helmet({ contentSecurityPolicy, xFrameOptions: { action: "deny" } })
  setAll({} as IncomingMessage, response, () => {})
  return headers
}

/** The CORS headers of an answer that Fastify does not make. */
export const corsHeaders = (
  origins: HttpSettings["origins"],
  origin: string | undefined
): Readonly<Record<string, string>> => {
  const exposed = { "access-control-expose-headers": EXPOSED_HEADERS }
  if (origins === "any") return { "access-control-allow-origin": "*", ...exposed }
  if (origins.length === 0) return {}
  if (origin === undefined || !origins.includes(origin)) return { vary: "Origin" }
  return { "access-control-allow-origin": origin, vary: "Origin", ...exposed }
}
