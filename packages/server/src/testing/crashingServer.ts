import { settingsFromEnvironment } from "../config/ServerConfig.ts"
import { crashPoint } from "@holdfast/testkit/crash-point"
import { Effect } from "effect"
import { startServer } from "../startServer.ts"

// A server that ends by SIGKILL at the step that `crashAt` names. Prints its address.
const settings = await Effect.runPromise(settingsFromEnvironment.pipe(Effect.orDie))
const server = await startServer(settings, { logLevel: "None", onStep: crashPoint })
console.log(`serving on ${server.url} `)
