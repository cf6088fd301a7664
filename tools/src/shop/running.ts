import { execFileSync } from "node:child_process"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"

/** A shop that `npm start` is running, as other commands see it. */
export interface RunningShop {
  readonly pid: number
  readonly url: string
  readonly mysqlUrl: string
  readonly redisUrl: string
}

interface Announcement extends RunningShop {
  /** Tells the process from a later one with the same id. */
  readonly startedAt: string
}

const FILE = "running.json"

/** Records that this process runs the shop of the directory. Only its owner may read it: the URLs hold passwords. */
export const announce = (directory: string, shop: Omit<RunningShop, "pid">): void => {
  const { pid } = process
  const announcement: Announcement = { pid, startedAt: startOf(pid) ?? "", ...shop }
  writeFileSync(join(directory, FILE), JSON.stringify(announcement), { mode: 0o600 })
}

export const withdraw = (directory: string): void => rmSync(join(directory, FILE), { force: true })

/** The shop that is running on the directory, if the process that announced it is alive. */
export const runningShop = (directory: string): RunningShop | undefined => {
  try {
    const shop = JSON.parse(readFileSync(join(directory, FILE), "utf8")) as Announcement
    return typeof shop.startedAt === "string" && startOf(shop.pid) === shop.startedAt ? shop : undefined
  } catch {
    return undefined
  }
}

/** When a process started; `undefined` when there is none. The text is only good for comparing. */
const startOf = (pid: number): string | undefined => {
  try {
    // Field 2, the command's name, may contain any character, so fields are counted after its closing parenthesis.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19]
  } catch {
    return startByPs(pid)
  }
}

/** For systems without /proc. */
const startByPs = (pid: number): string | undefined => {
  try {
    const started = execFileSync("ps", ["-o", "lstart=", "-p", String(pid)], {
      encoding: "utf8",
      stdio: "pipe"
    })
    return started.trim() || undefined
  } catch {
    return undefined
  }
}
