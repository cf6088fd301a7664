import type { Command } from "../../faults/dialogue.ts"

/**
 * Decides which commands of a connection are steps of a schedule. The others pass at once, because they change nothing
 * that another client can see; that leaves far fewer orders to try.
 */
export interface StepFilter {
  /** Called once for every command, in order. */
  readonly isStep: (command: Command) => boolean
  /** Whether the reply may depend on another client's command, as for BLPOP. */
  readonly mayBlock: (command: Command) => boolean
  /** The name of the step, for messages and for recognising it again. */
  readonly label: (command: Command) => string
}

const silentRedisCommands = new Set([
  "AUTH",
  "CLIENT",
  "COMMAND",
  "ECHO",
  "HELLO",
  "INFO",
  "PING",
  "QUIT",
  "READONLY",
  "SELECT",
  "SCRIPT"
])

const blockingRedisCommands = new Set([
  "BLMOVE",
  "BLMPOP",
  "BLPOP",
  "BRPOP",
  "BRPOPLPUSH",
  "BZMPOP",
  "BZPOPMAX",
  "BZPOPMIN",
  "WAIT",
  "WAITAOF"
])

/** Between MULTI and EXEC, commands are only queued, so EXEC is the step. */
export const redisSteps = (): StepFilter => {
  let queued: Array<string> | undefined
  let executed: ReadonlyArray<string> = []
  return {
    isStep: ({ name, text }) => {
      if (name === "MULTI") {
        queued = []
        return false
      }
      if (name === "EXEC" || name === "DISCARD") {
        executed = queued ?? []
        queued = undefined
        return name === "EXEC"
      }
      if (queued !== undefined) {
        queued.push(text)
        return false
      }
      return !silentRedisCommands.has(name)
    },
    mayBlock: ({ name, text }) =>
      blockingRedisCommands.has(name) || /^XREAD(?:GROUP)?\b.*\bBLOCK\b/i.test(text),
    label: ({ name, text }) => (name === "EXEC" ? `EXEC [${executed.join("; ")}]` : text)
  }
}

/**
 * Opening a transaction takes no locks, and no snapshot unless it says so; SET and USE only affect the session. Setting
 * AUTOCOMMIT may commit, so it is a step, and so are several statements in one command.
 */
const silentSql =
  /^\s*(?:SET(?!.*\bAUTOCOMMIT\b)|USE|BEGIN|START\s+TRANSACTION(?!.*CONSISTENT\s+SNAPSHOT))\b(?!.*;\s*\S)/is

export const sqlSteps = (): StepFilter => ({
  isStep: ({ executes, text }) => executes && !silentSql.test(text),
  mayBlock: () => false,
  label: ({ text }) => text.replace(/\s+/g, " ").trim()
})
