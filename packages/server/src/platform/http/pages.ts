import scalar from "@scalar/fastify-api-reference"
import Fastify, { type FastifyInstance, type FastifyRequest } from "fastify"
import { createHash } from "node:crypto"
import { FAVICON_ICO, FAVICON_SVG } from "./favicon.ts"
import { FIRST_PAGE_POLICY, firstPageOf, type Welcome } from "./first-page.ts"
import type { OpenApiDocument } from "./openapi.ts"

/**
 * Serves the document at `/openapi.json`, and a page at `/docs` to read it and to try the calls. All of them are made once:
 * their answers share the same bytes, however many callers ask and however slowly they read.
 */
export const addApiReference = async (app: FastifyInstance, document: OpenApiDocument): Promise<void> => {
  app.get("/docs", (_request, reply) => reply.redirect("/docs/", 301))
  const page = { contentType: HTML, headers: { "content-security-policy": REFERENCE_POLICY } }
  addDocument(app, "/docs/", Buffer.from(REFERENCE_PAGE), page)
  addDocument(app, "/docs/js/start.js", Buffer.from(START_REFERENCE), { contentType: SCRIPT })
  addDocument(app, "/docs/js/scalar.js", await referenceScript(), { contentType: SCRIPT })
  addDocument(app, "/openapi.json", Buffer.from(JSON.stringify(document)), { contentType: JSON_TEXT })
}

const HTML = "text/html; charset=utf-8"
const SCRIPT = "text/javascript; charset=utf-8"
const JSON_TEXT = "application/json; charset=utf-8"

/** The script is no export of its package, which serves it. */
const referenceScript = async (): Promise<Buffer> => {
  const source = Fastify()
  await source.register(scalar, { routePrefix: "/docs", configuration: { url: "/openapi.json" } })
  const { rawPayload, statusCode } = await source.inject("/docs/js/scalar.js")
  await source.close()
  if (statusCode !== 200) throw new Error("the script of the API reference is missing")
  return rawPayload
}

const REFERENCE_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Holdfast API</title>
<link rel="icon" href="/favicon.svg" type="image/svg+xml">
</head>
<body>
<div id="app"></div>
<script src="js/scalar.js"></script>
<script src="js/start.js"></script>
</body>
</html>
`

/** The reference as a page of this server: without its maker's services, and without links to them. */
const START_REFERENCE = `Scalar.createApiReference("#app", ${JSON.stringify({
  url: "/openapi.json",
  telemetry: false,
  withDefaultFonts: false,
  agent: { disabled: true },
  mcp: { disabled: true },
  hideClientButton: true,
  showDeveloperTools: "never",
  customCss: 'a[href*="scalar.com"], a[href*="spdx.org"] { display: none !important; }'
})})
`

/** The page talks to the server that serves it and to nobody else. Its style is made by its script. */
const REFERENCE_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "connect-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data: blob:",
  "font-src 'self' data:",
  "worker-src 'self' blob:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'"
].join("; ")

/** Serves the first page and the icon. */
export const addFirstPage = (app: FastifyInstance, welcome: Welcome, version: string): void => {
  const cached = { "cache-control": "public, max-age=86400" }
  addDocument(app, "/favicon.svg", Buffer.from(FAVICON_SVG), {
    contentType: "image/svg+xml",
    headers: cached
  })
  addDocument(app, "/favicon.ico", FAVICON_ICO, { contentType: "image/x-icon", headers: cached })
  app.get("/", (request, reply) => {
    const accounts = isHere(request) ? welcome.accounts() : []
    return reply
      .header("cache-control", "no-store")
      .header("content-security-policy", FIRST_PAGE_POLICY)
      .type(HTML)
      .send(firstPageOf({ welcome, version, url: urlOf(request), accounts }))
  })
}

/** Where the caller reached the server. A host is what the caller says; text that is none is not repeated. */
const urlOf = ({ host, protocol }: FastifyRequest): string =>
  `${protocol}://${/^[\w.:[\]-]{1,255}$/.test(host) ? host : "localhost"}`

/**
 * Whether a person asks, on the machine of the server: the page of another site, or a name that somebody made point here,
 * does not count.
 */
const isHere = ({ headers, hostname, socket: { remoteAddress = "" } }: FastifyRequest): boolean =>
  /^(?:127\.|::1$|::ffff:127\.)/.test(remoteAddress) &&
  /^(?:localhost|127\.0\.0\.1|\[::1\])$/.test(hostname) &&
  ["origin", "forwarded", "x-forwarded-for"].every((name) => headers[name] === undefined)

interface Served {
  readonly contentType: string
  readonly headers?: Readonly<Record<string, string>>
}

/** Serves bytes that never change while the process lives. */
const addDocument = (
  app: FastifyInstance,
  path: string,
  bytes: Buffer,
  { contentType, headers }: Served
): void => {
  const etag = `"${createHash("sha256").update(bytes).digest("base64url")}"`
  app.get(path, (request, reply) => {
    reply.headers({ etag, "cache-control": "no-cache", ...headers })
    const isKnown = knownTags(request.headers["if-none-match"]).some((tag) => tag === etag || tag === "*")
    if (isKnown) return reply.code(304).send()
    return reply.type(contentType).send(bytes)
  })
}

/** A proxy that compresses an answer makes its tag a weak one. */
const knownTags = (header: string | undefined): ReadonlyArray<string> =>
  header?.split(",").map((tag) => tag.trim().replace(/^W\//, "")) ?? []
