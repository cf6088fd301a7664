import { createHash } from "node:crypto"
import type { Command } from "../faults/dialogue.ts"
import type { LockGraph } from "./lock-graph.ts"

/** What a Lua script does to the lock in its first key that is one. */
export type ScriptRole = "acquire" | "release" | "other"

/**
 * Reads mutexes off the traffic of a Redis client: `SET key value NX` and Lua scripts that do so take one, `DEL` and
 * scripts that delete or compare and delete release it. That is what redis-semaphore, Redlock clients and most
 * handwritten locks send.
 *
 * A lock that is handed over by a message instead of a reply is not seen to be taken; the traffic without contention,
 * in which it is taken at once, already shows the order.
 */
export class RedisLocks {
  readonly #graph: LockGraph
  readonly #isLock: (key: string) => boolean
  readonly #roles = new Map<string, ScriptRole>()
  /** Digests of scripts that touched locks and whose texts nobody sent. */
  readonly unknownScripts = new Set<string>()

  constructor(graph: LockGraph, lockKeys: RegExp = /^mutex:/) {
    this.#graph = graph
    this.#isLock = (key) => lockKeys.test(key)
  }

  /** Makes a script known that the server has cached already, so that only its digest is sent. */
  learnScript(lua: string): void {
    const digest = createHash("sha1").update(lua).digest("hex")
    this.#roles.set(digest, roleOf(lua))
    this.unknownScripts.delete(digest)
  }

  /** A client is about to send a command. */
  sends(owner: string, command: Command): void {
    const [first = ""] = command.args
    if (command.name === "EVAL") this.learnScript(first)
    const touch = this.#touch(command)
    if (touch?.role === "acquire") for (const lock of touch.locks) this.#graph.requests(owner, lock)
  }

  /** The command was answered. */
  answered(owner: string, command: Command, reply: Buffer): void {
    const touch = this.#touch(command)
    if (touch === undefined || !isSuccess(reply)) return
    for (const lock of touch.locks) {
      if (touch.role === "acquire") this.#graph.acquired(owner, lock)
      else this.#graph.released(owner, lock)
    }
  }

  #touch({ name, args }: Command): { role: "acquire" | "release"; locks: ReadonlyArray<string> } | undefined {
    const found = this.#roleAndKeys(name, args)
    if (found === undefined) return undefined
    const locks = found.keys.filter(this.#isLock).map((key) => `redis ${key}`)
    return locks.length === 0 ? undefined : { role: found.role, locks }
  }

  #roleAndKeys(name: string, args: ReadonlyArray<string>) {
    if (name === "SET") {
      const isConditional = args.slice(2).some((argument) => argument.toUpperCase() === "NX")
      return isConditional ? { role: "acquire" as const, keys: args.slice(0, 1) } : undefined
    }
    if (name === "SETNX") return { role: "acquire" as const, keys: args.slice(0, 1) }
    if (name === "DEL" || name === "UNLINK") return { role: "release" as const, keys: args }
    if (name !== "EVAL" && name !== "EVALSHA") return undefined
    const [script = "", count = "0"] = args
    const role = name === "EVAL" ? roleOf(script) : this.#roles.get(script)
    const keys = args.slice(2, 2 + Number(count))
    if (role === undefined && keys.some(this.#isLock)) this.unknownScripts.add(script)
    return role === "acquire" || role === "release" ? { role, keys } : undefined
  }
}

/**
 * Tells by the commands it calls what a script is for. One that deletes releases, also if it sets the key for the next
 * in line; one that sets it only if it is not there acquires.
 */
const roleOf = (lua: string): ScriptRole => {
  if (/call\(\s*["'](?:del|unlink)["']/i.test(lua)) return "release"
  const sets = /call\(\s*["']set["'][^)]*["']nx["']|call\(\s*["']setnx["']/i.test(lua)
  return sets ? "acquire" : "other"
}

/** `+OK`, a positive number, a text, or a list that begins with one of them. */
const isSuccess = (reply: Buffer): boolean => {
  const lines = reply.toString("latin1", 0, 64).split("\r\n")
  const first = lines[0]?.startsWith("*") === true ? lines[1] : lines[0]
  if (first === undefined) return false
  return first.startsWith("+") || /^:[1-9]/.test(first) || /^\$\d/.test(first)
}
