import { fork } from "node:child_process"
import { once } from "node:events"

/** A server of another contestant, in a process of its own. */
export interface Peer {
  readonly url: string
  readonly pid: number
  readonly stop: () => Promise<void>
}

/** Where a peer finds its stores. */
export interface PeerStores {
  readonly mysqlUrl: string
  readonly redisUrl: string
}

const MYSQL = "BENCH_MYSQL_URL"
const REDIS = "BENCH_REDIS_URL"

/** Starts the program of a peer, which says {@link listening} when it serves. It ends with this process. */
export const startPeer = async (
  program: string,
  stores: PeerStores | undefined,
  environment: Readonly<Record<string, string>> = {}
): Promise<Peer> => {
  const addresses = stores && { [MYSQL]: stores.mysqlUrl, [REDIS]: stores.redisUrl }
  const env = { ...process.env, ...environment, ...addresses }
  // Its output is not the benchmark's; its errors are for whoever runs it.
  const child = fork(program, { env, stdio: ["ignore", "ignore", "inherit", "ipc"] })
  const port = await new Promise<number>((resolve, reject) => {
    child.once("message", (message) => resolve(message as number))
    child.once("exit", (code) => reject(new Error(`${program} ended with ${code} before it served`)))
  })
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid!,
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const gone = once(child, "exit")
      child.disconnect()
      await gone
    }
  }
}

/** In the peer's process: its stores. */
export const peerStores = (): PeerStores => ({
  mysqlUrl: process.env[MYSQL] ?? "",
  redisUrl: process.env[REDIS] ?? ""
})

/** In the peer's process: tells the port to the process that started it, and ends when that one does. */
export const listening = (port: number): void => {
  process.on("disconnect", () => process.exit())
  process.send?.(port)
}
