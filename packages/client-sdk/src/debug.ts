import type { Hooks, RequestEvent, ResponseEvent } from "./hooks.ts"

interface Debuggable extends Hooks {
  readonly debug?: boolean | ((line: string) => void)
}

/** The hooks of a client, and with `debug` a line for each request. Nothing of an input, an answer or a token is in it. */
export const debugged = (options: Debuggable): Hooks => {
  const { debug = isOnInEnvironment(), onDeprecated, onRequest, onResponse } = options
  if (debug === false) return options
  const print = debug === true ? (line: string) => console.warn(line) : debug
  return {
    onDeprecated: (event) => {
      print(`holdfast: ${event.procedure} is deprecated`)
      return onDeprecated?.(event)
    },
    onRequest: (event) => {
      print(`holdfast: ${nameOf(event)} is sent`)
      return onRequest?.(event)
    },
    onResponse: (event) => {
      print(`holdfast: ${nameOf(event)} ${outcomeOf(event)}`)
      return onResponse?.(event)
    }
  }
}

const nameOf = ({ attempt, idempotencyKey, procedure }: RequestEvent) =>
  `${procedure} #${attempt}${idempotencyKey === undefined ? "" : ` (key ${idempotencyKey})`}`

const outcomeOf = ({ durationMs, error, requestId }: ResponseEvent) =>
  `${error === undefined ? "is answered" : `fails with ${error._tag}`} after ${durationMs} ms (request ${requestId ?? "unsent"})`

const isOnInEnvironment = (): boolean => {
  const { process } = globalThis as {
    readonly process?: { readonly env?: Readonly<Record<string, string | undefined>> }
  }
  const value = process?.env?.["HOLDFAST_DEBUG"]
  return value !== undefined && value !== "" && value !== "0"
}
