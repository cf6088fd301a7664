import { spawn, type ChildProcess } from "node:child_process"
import { randomUUID } from "node:crypto"
import { once } from "node:events"
import { readdirSync, readFileSync } from "node:fs"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import type { ServiceOptions } from "../../src/index.ts"
import type { ServiceIdentity } from "../../src/services/index.ts"

const program = fileURLToPath(new URL("runner.ts", import.meta.url))
const MARK = "HOLDFAST_TEST_MARK"

const running = new Set<ChildProcess>()

/** Cleans up after a test that failed before it killed its runners. */
export const killRunners = () => {
  for (const child of running) child.kill("SIGKILL")
}

export interface Runner {
  readonly pid: number
  /** The services it started; rejects when it ends first. */
  readonly ready: Promise<{ readonly sql?: ServiceIdentity; readonly redis?: ServiceIdentity }>
  /** The servers and supervisors it started, found by an environment variable that they inherit. */
  readonly descendants: () => ReadonlyArray<number>
  /** Kills it with SIGKILL; resolves when it has ended. */
  readonly kill: () => Promise<void>
}

/** Starts a separate process that starts services. */
export function startRunner(
  options: ServiceOptions,
  { env = {}, freeze = false }: { readonly env?: NodeJS.ProcessEnv; readonly freeze?: boolean } = {}
): Runner {
  const mark = randomUUID()
  const args = ["--conditions=holdfast-source", program, JSON.stringify(options), freeze ? "freeze" : ""]
  const child = spawn(process.execPath, args, {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...env, [MARK]: mark }
  })
  running.add(child)
  child.once("exit", () => running.delete(child))
  let output = ""
  child.stderr.on("data", (data: Buffer) => (output += data.toString()))
  const exited = once(child, "exit")
  const line = once(createInterface({ input: child.stdout }), "line").then(([text]) =>
    JSON.parse(String(text))
  )
  const ready = Promise.race([
    line,
    exited.then(() => {
      throw new Error(`the runner ended: ${output}`)
    })
  ])
  ready.catch(() => {})
  line.catch(() => {})
  return {
    pid: child.pid ?? 0,
    ready,
    descendants: () => withMark(mark).filter((pid) => pid !== child.pid),
    kill: async () => {
      child.kill("SIGKILL")
      await exited
    }
  }
}

function withMark(mark: string): ReadonlyArray<number> {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, "latin1").includes(`${MARK}=${mark}`)
      } catch {
        return false
      }
    })
    .map(Number)
}
