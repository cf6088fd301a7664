import { jobsOf } from "../../src/jobs.ts"
import { type RunningServer, startServer } from "../../src/server.ts"
import type { ServerSettings } from "../../src/config.ts"
import { type Command, decodeSettings, type Question, type Reply } from "./messages.ts"

// Runs servers for a test, on command. It ends with the test's process, however that ends.
process.once("disconnect", () => process.kill(process.pid, "SIGKILL"))

const servers = new Map<string, { readonly server: RunningServer; readonly settings: ServerSettings }>()

const serverAt = (url: string) => {
  const found = servers.get(url)
  if (found === undefined) throw new Error(`no server at ${url}`)
  return found
}

const run = async (command: Command): Promise<string | number | undefined> => {
  if (command.do === "start") {
    const settings = decodeSettings(command.settings)
    const server = await startServer(settings, { logLevel: command.logLevel })
    servers.set(server.url, { server, settings })
    return server.url
  }
  const { server, settings } = serverAt(command.url)
  if (command.do === "stop") {
    servers.delete(command.url)
    await server.stop()
    return undefined
  }
  const job = jobsOf(settings).find(({ name }) => name === command.job)
  if (job === undefined) throw new Error(`no job is named ${command.job}`)
  return server.runtime.runPromise(job.run)
}

const answer = async ({ command, id }: Question): Promise<Reply> => {
  try {
    return { id, value: await run(command) }
  } catch (error) {
    return { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }
  }
}

process.on("message", (question: Question) => {
  void answer(question).then((reply) => process.send?.(reply))
})
