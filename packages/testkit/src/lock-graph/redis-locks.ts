import { createHash } from "node:crypto"
import type { Command } from "../faults/dialogue.ts"
import type { LockGraph } from "./lock-graph.ts"
import type { LockMode } from "./lock.ts"

/** What a Lua script does to the locks among its keys. */
type ScriptRole = "acquire" | "acquireSlot" | "release" | "other"

/** What a command does to locks. */
interface Touch {
  readonly role: "acquire" | "release"
  readonly mode: LockMode
  readonly keys: ReadonlyArray<string>
}

/**
 * Reads mutexes from the traffic of a Redis client: `SET key value NX` and Lua scripts that do so acquire one, `DEL` and
 * scripts that delete release it. A script that counts a sorted set and adds to it takes a slot of a semaphore, `ZREM`
 * gives it back. This covers redis-semaphore, Redlock clients and most handwritten locks.
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

  constructor(graph: LockGraph, lockKeys: RegExp = /^(?:mutex|semaphore):/) {
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
    if (touch?.role === "acquire")
      for (const lock of touch.locks) this.#graph.requests(owner, lock, touch.mode)
  }

  /** The command was answered. */
  answered(owner: string, command: Command, reply: Buffer): void {
    const touch = this.#touch(command)
    if (touch === undefined || !isSuccess(reply)) return
    for (const lock of touch.locks) {
      if (touch.role === "acquire") this.#graph.acquired(owner, lock, touch.mode)
      else this.#graph.released(owner, lock)
    }
  }

  #touch({ name, args }: Command) {
    const found = name === "EVAL" || name === "EVALSHA" ? this.#ofScript(name, args) : ofCommand(name, args)
    if (found === undefined) return undefined
    const locks = found.keys.filter(this.#isLock).map((key) => `redis ${key}`)
    return locks.length === 0 ? undefined : { ...found, locks }
  }

  #ofScript(name: string, args: ReadonlyArray<string>): Touch | undefined {
    const [script = "", count = "0"] = args
    const role = name === "EVAL" ? roleOf(script) : this.#roles.get(script)
    const keys = args.slice(2, 2 + Number(count))
    if (role === undefined && keys.some(this.#isLock)) this.unknownScripts.add(script)
    if (role === undefined || role === "other") return undefined
    if (role !== "acquireSlot") return { role, mode: "exclusive", keys }
    // The first argument is redis-semaphore's limit; with one slot, a semaphore is a mutex.
    return { role: "acquire", mode: args[2 + Number(count)] === "1" ? "exclusive" : "counted", keys }
  }
}

const ofCommand = (name: string, args: ReadonlyArray<string>): Touch | undefined => {
  const isConditional = args.slice(2).some((argument) => argument.toUpperCase() === "NX")
  const first = { mode: "exclusive" as const, keys: args.slice(0, 1) }
  if ((name === "SET" && isConditional) || name === "SETNX") return { role: "acquire", ...first }
  if (name === "ZREM") return { role: "release", ...first }
  if (name === "DEL" || name === "UNLINK") return { role: "release", mode: "exclusive", keys: args }
  return undefined
}

/**
 * Infers the role of a script from the commands it calls. A script that deletes releases, even if it sets the key for
 * the next waiter; one that only sets absent keys acquires. Redlock 5 asks whether they exist instead of setting with NX.
 */
const roleOf = (lua: string): ScriptRole => {
  if (/call\(\s*["'](?:del|unlink|zrem)["']/i.test(lua)) return "release"
  const sets = /call\(\s*["']set["'][^)]*["']nx["']|call\(\s*["']setnx["']/i.test(lua)
  if (sets || (calls(lua, "exists") && calls(lua, "set"))) return "acquire"
  return calls(lua, "zcard") && calls(lua, "zadd") ? "acquireSlot" : "other"
}

const calls = (lua: string, command: string): boolean =>
  new RegExp(`call\\(\\s*["']${command}["']`, "i").test(lua)

/** `+OK`, a positive number, a string, or a list that begins with one of them. */
const isSuccess = (reply: Buffer): boolean => {
  const lines = reply.toString("latin1", 0, 64).split("\r\n")
  const first = lines[0]?.startsWith("*") === true ? lines[1] : lines[0]
  if (first === undefined) return false
  return first.startsWith("+") || /^:[1-9]/.test(first) || /^\$\d/.test(first)
}
