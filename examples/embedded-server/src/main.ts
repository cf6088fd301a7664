// Runs Holdfast inside another program. It reads HOLDFAST_MYSQL_URL, HOLDFAST_REDIS_URL and HOLDFAST_SECRET.
import { createClient } from "@holdfast/client-sdk"
import { settingsFromEnvironment, startServer, verify } from "@holdfast/server"
import { Effect } from "effect"

const settings = await Effect.runPromise(
  Effect.gen(function* () {
    return yield* settingsFromEnvironment
  })
)
const server = await startServer({ ...settings, port: 0 }, { logLevel: "Warn" })
try {
  console.log(`serving at ${server.url}`)
  const client = createClient({ url: server.url })
  const { items } = await client.products.page({ limit: 5 })
  console.log(`${items.length} products on the first page`)
  const { checks } = await server.runtime.runPromise(verify)
  console.log(checks.every(({ ok }) => ok) ? "the books are right" : "the books are wrong")
} finally {
  await server.stop()
}
