import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:net"
import { setTimeout as sleep } from "node:timers/promises"
import { fileURLToPath } from "node:url"

const READY_WITHIN_MS = 300_000

/** A server that stops is told so again and again: none of that may harm what is in flight. */
const SIGNAL_EVERY_MS = 250

/** The command of this checkout. */
const CLI = fileURLToPath(import.meta.resolve("@holdfast/server/cli"))

type Environment = Readonly<Record<string, string>>

/** Runs `holdfast` with its output on stderr. `cli` is the source of another checkout's command. */
export const startCommand = (
  args: ReadonlyArray<string>,
  environment: Environment,
  { cli = CLI, input = "" }: { readonly cli?: string; readonly input?: string } = {}
): ChildProcess => {
  const node = ["--conditions=holdfast-source", "--disable-warning=ExperimentalWarning", cli, ...args]
  const child = spawn(process.execPath, node, {
    env: { PATH: process.env["PATH"] ?? "", ...environment },
    stdio: ["pipe", "ignore", "inherit"]
  })
  child.stdin.end(input)
  return child
}

/** Starts a server, and waits until it is ready. */
export const startServer = async (
  port: number,
  environment: Environment,
  cli?: string
): Promise<ChildProcess> => {
  const server = startCommand(
    ["serve"],
    { ...environment, PORT: String(port) },
    cli === undefined ? {} : { cli }
  )
  await untilReady(`http://127.0.0.1:${port}`)
  return server
}

/** Stops a server as an impatient operator does. It has to end by itself. */
export const stopServer = async (server: ChildProcess): Promise<void> => {
  if (server.exitCode !== null || server.signalCode !== null) return
  const ended = once(server, "exit")
  const signal = () => server.kill("SIGTERM")
  signal()
  const again = setInterval(signal, SIGNAL_EVERY_MS)
  const [code] = (await ended) as [number | null]
  clearInterval(again)
  if (code !== 0) throw new Error(`a server ended with ${code}`)
}

export const untilReady = async (url: string): Promise<void> => {
  const deadlineMs = performance.now() + READY_WITHIN_MS
  for (;;) {
    const isReady = await fetch(`${url}/readyz`).then(
      ({ ok }) => ok,
      () => false
    )
    if (isReady) return
    if (performance.now() > deadlineMs) throw new Error(`${url} was not ready within ${READY_WITHIN_MS} ms`)
    await sleep(50)
  }
}

export const freePorts = async (count: number): Promise<ReadonlyArray<number>> => {
  const listening = await Promise.all(
    Array.from({ length: count }, async () => {
      const server = createServer().listen(0, "127.0.0.1")
      await once(server, "listening")
      return server
    })
  )
  const ports = listening.map((server) => (server.address() as { readonly port: number }).port)
  await Promise.all(listening.map((server) => once(server.close(), "close")))
  return ports
}
