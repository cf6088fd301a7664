// Starts a program that never ends, prints its process id and waits to be killed.
import { crashAt } from "../crash-at.ts"

const module = new URL("./crashing-program.ts", import.meta.url)
const run = crashAt("never", { module, args: [String(process.argv[2]), "stay"], timeoutMs: 60_000 })
await run.output(/finished/)
console.log(`child ${run.process.pid}`)
