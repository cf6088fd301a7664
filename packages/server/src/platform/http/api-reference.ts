import { contract } from "@holdfast/domain"
import scalar from "@scalar/fastify-api-reference"
import type { FastifyInstance } from "fastify"
import { openApiOf } from "./openapi.ts"

/** Serves the document of all procedures at `/openapi.json`, and a page to read it and to try the calls at `/docs`. */
export const addApiReference = async (app: FastifyInstance, version: string): Promise<void> => {
  const document = openApiOf(contract, version)
  app.get("/openapi.json", async () => document)
  await app.register(scalar, {
    routePrefix: "/docs",
    configuration: { url: "/openapi.json", title: "Holdfast API", telemetry: false, withDefaultFonts: false }
  })
}
