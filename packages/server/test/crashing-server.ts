import { settingsFromEnvironment } from "../src/config.ts"
import { crashPoint } from "@holdfast/testkit/crash-point"
import { Effect } from "effect"
import { startServer } from "../src/server.ts"

// A server that SIGKILLs itself at the step that `crashAt` names. Prints its address.
const settings = await Effect.runPromise(settingsFromEnvironment.pipe(Effect.orDie))
const server = await startServer(settings, { logLevel: "None", onFailpoint: crashPoint })
console.log(`serving on ${server.url} `)
