import { readFileSync, readlinkSync } from "node:fs"
import { hostname } from "node:os"

/**
 * Identifies one run of one process, so that a reused pid is not mistaken for the owner. Processes of other hosts and
 * containers cannot be checked.
 */
export interface Owner {
  readonly pid: number
  readonly startedAt: string
  readonly namespace: string
  readonly host: string
}

export const isOwner = (value: unknown): value is Owner =>
  typeof value === "object" &&
  value !== null &&
  "pid" in value &&
  "startedAt" in value &&
  "namespace" in value &&
  "host" in value

/** Empty where /proc is missing (macOS), so the pid alone identifies the process. */
function startOf(pid: number): string {
  try {
    // Field 2, the command's name, may contain any character, so fields are counted after its closing parenthesis.
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8")
    return stat.slice(stat.lastIndexOf(")") + 2).split(" ")[19] ?? ""
  } catch {
    return ""
  }
}

function namespaceOfPids(): string {
  try {
    return readlinkSync("/proc/self/ns/pid")
  } catch {
    return ""
  }
}

export const thisOwner = (): Owner => ({
  pid: process.pid,
  startedAt: startOf(process.pid),
  namespace: namespaceOfPids(),
  host: hostname()
})

/** Whether this process can tell that the owner has ended. */
export const isNear = ({ namespace, host }: Owner): boolean =>
  host === hostname() && namespace === namespaceOfPids()

/** Whether the process has certainly ended. */
export function isGone(owner: Owner): boolean {
  if (!isNear(owner)) return false
  return !processExists(owner.pid) || startOf(owner.pid) !== owner.startedAt
}

/** Whether a process with that pid exists, regardless of its owner. */
export function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}
