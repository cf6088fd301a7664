import scalar from "@scalar/fastify-api-reference"
import Fastify, { type FastifyInstance } from "fastify"
import { createHash } from "node:crypto"
import type { OpenApiDocument } from "./openapi.ts"

/**
 * Serves the document at `/openapi.json`, and a page at `/docs` to read it and to try the calls. All of them are made once:
 * their answers share the same bytes, however many callers ask and however slowly they read.
 */
export const addApiReference = async (app: FastifyInstance, document: OpenApiDocument): Promise<void> => {
  const page = Fastify()
  await page.register(scalar, {
    routePrefix: "/docs",
    configuration: {
      url: "/openapi.json",
      title: "Holdfast API",
      telemetry: false,
      withDefaultFonts: false,
      agent: { disabled: true },
      mcp: { disabled: true },
      hideClientButton: true,
      showDeveloperTools: "never"
    }
  })
  for (const path of ["/docs/", "/docs/js/scalar.js"]) {
    const { headers, rawPayload } = await page.inject(path)
    addDocument(app, path, String(headers["content-type"]), rawPayload)
  }
  await page.close()
  app.get("/docs", (_request, reply) => reply.redirect("/docs/", 301))
  addDocument(app, "/openapi.json", "application/json; charset=utf-8", Buffer.from(JSON.stringify(document)))
}

/** Serves bytes that never change while the process lives. */
const addDocument = (app: FastifyInstance, path: string, contentType: string, bytes: Buffer): void => {
  const etag = `"${createHash("sha256").update(bytes).digest("base64url")}"`
  app.get(path, (request, reply) => {
    reply.header("etag", etag).header("cache-control", "no-cache")
    const isKnown = knownTags(request.headers["if-none-match"]).some((tag) => tag === etag || tag === "*")
    if (isKnown) return reply.code(304).send()
    return reply.type(contentType).send(bytes)
  })
}

/** A proxy that compresses an answer makes its tag a weak one. */
const knownTags = (header: string | undefined): ReadonlyArray<string> =>
  header?.split(",").map((tag) => tag.trim().replace(/^W\//, "")) ?? []
