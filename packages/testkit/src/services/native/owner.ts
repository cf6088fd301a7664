import { readFileSync, readlinkSync } from "node:fs"

/**
 * Names one life of one process, so that "is its owner still alive?" is answered rightly when the pid was given
 * out again, and not answered at all for a process of another container that shares the directory.
 */
export interface Owner {
  readonly pid: number
  readonly startedAt: string
  readonly namespace: string
}

export const isOwner = (value: unknown): value is Owner =>
  typeof value === "object" &&
  value !== null &&
  "pid" in value &&
  "startedAt" in value &&
  "namespace" in value

/** Where /proc is missing (macOS) the pid alone has to do. */
function startOf(pid: number): string {
  try {
    // The command's name in field 2 may hold anything, so fields are counted from behind its closing bracket.
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
  namespace: namespaceOfPids()
})

/** Whether the process is gone for certain. */
export function isGone(owner: Owner): boolean {
  if (owner.namespace !== namespaceOfPids()) return false
  return !processExists(owner.pid) || startOf(owner.pid) !== owner.startedAt
}

/** Whether there is a process of that number, ours or not. */
export function processExists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM"
  }
}
