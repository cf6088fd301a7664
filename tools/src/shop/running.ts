import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/** A shop that `npm start` is running, as other commands see it. */
export interface RunningShop {
  readonly pid: number
  readonly url: string
  readonly mysqlUrl: string
  readonly redisUrl: string
}

const FILE = "running.json"

/** Records that this process runs the shop of the directory. Only its owner may read it: the URLs hold passwords. */
export const announce = (directory: string, shop: Omit<RunningShop, "pid">): void =>
  writeFileSync(join(directory, FILE), JSON.stringify({ pid: process.pid, ...shop }), { mode: 0o600 })

export const withdraw = (directory: string): void => rmSync(join(directory, FILE), { force: true })

/** The shop that is running on the directory, if its process is alive. */
export const runningShop = (directory: string): RunningShop | undefined => {
  try {
    const shop = JSON.parse(readFileSync(join(directory, FILE), "utf8")) as RunningShop
    process.kill(shop.pid, 0)
    return shop
  } catch {
    return undefined
  }
}
