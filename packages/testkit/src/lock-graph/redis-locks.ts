import { createHash } from "node:crypto"
import type { Command } from "../faults/dialogue.ts"
import type { LockGraph } from "./lock-graph.ts"

/** What a Lua script does to the locks among its keys. */
type ScriptRole = "acquire" | "release" | "other"

/**
 * Reads mutexes from the traffic of a Redis client: `SET key value NX` and Lua scripts that do so acquire one, `DEL` and
 * scripts that delete release it. This covers redis-semaphore, Redlock clients and most handwritten locks.
 *
 * A lock that is granted by a message instead of a reply is not detected; the traffic without contention, where it is
 * granted at once, already shows the order.
 */
export class RedisLocks {
  readonly #graph: LockGraph
  readonly #isLock: (key: string) => boolean
  readonly #roles = new Map<string, ScriptRole>()
  /** Digests of scripts that touched locks and whose texts were never sent. */
  readonly unknownScripts = new Set<string>()

  constructor(graph: LockGraph, lockKeys: RegExp = /^mutex:/) {
    this.#graph = graph
    this.#isLock = (key) => lockKeys.test(key)
  }

  /** Registers the text of a script, so that it is recognised by its digest. */
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
 * Infers the role of a script from the commands it calls. A script that deletes releases, even if it sets the key for
 * the next waiter; one that only sets absent keys acquires.
 */
const roleOf = (lua: string): ScriptRole => {
  if (/call\(\s*["'](?:del|unlink)["']/i.test(lua)) return "release"
  const sets = /call\(\s*["']set["'][^)]*["']nx["']|call\(\s*["']setnx["']/i.test(lua)
  return sets ? "acquire" : "other"
}

/** `+OK`, a positive number, a string, or a list that begins with one of them. */
const isSuccess = (reply: Buffer): boolean => {
  const lines = reply.toString("latin1", 0, 64).split("\r\n")
  const first = lines[0]?.startsWith("*") === true ? lines[1] : lines[0]
  if (first === undefined) return false
  return first.startsWith("+") || /^:[1-9]/.test(first) || /^\$\d/.test(first)
}
