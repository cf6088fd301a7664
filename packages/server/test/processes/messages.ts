import { Redacted } from "effect"
import type { ServerSettings } from "../../src/config.ts"

/** What a test asks of the process that runs its servers; a server is named by its URL. */
export type Command =
  | { readonly do: "start"; readonly settings: string; readonly logLevel: LogLevel }
  | { readonly do: "round"; readonly url: string; readonly worker: string }
  | { readonly do: "stop"; readonly url: string }

export type LogLevel = "None" | "Error" | "Info"

export interface Question {
  readonly id: number
  readonly command: Command
}

/** The URL of a started server, the count of a round; or what went wrong. */
export interface Reply {
  readonly id: number
  readonly value?: string | number | undefined
  readonly error?: string
}

/** Settings as text. Secrets, which are kept out of all other texts, are in there: it goes to our own child alone. */
export const encodeSettings = (settings: ServerSettings): string =>
  JSON.stringify(settings, function (this: Record<string, unknown>, name, value) {
    const original = this[name]
    return Redacted.isRedacted(original) ? { secret: Redacted.value(original) } : value
  })

export const decodeSettings = (text: string): ServerSettings =>
  JSON.parse(text, (_name, value) =>
    typeof value?.secret === "string" && Object.keys(value).length === 1 ? Redacted.make(value.secret) : value
  )
