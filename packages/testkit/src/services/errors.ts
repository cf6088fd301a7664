import type { Source } from "./service.ts"

/** One source that was tried for a service, and why it could not give one. */
export interface Attempt {
  readonly source: Source
  readonly reason: string
}

/** No source could give the service. The message lists what was tried, and the hint says what would help. */
export class ServiceUnavailable extends Error {
  readonly _tag = "ServiceUnavailable"
  readonly service: "sql" | "redis"
  readonly tried: ReadonlyArray<Attempt>
  readonly hint: string

  constructor(fields: {
    readonly service: "sql" | "redis"
    readonly tried: ReadonlyArray<Attempt>
    readonly hint: string
  }) {
    const lines = fields.tried.map(({ source, reason }) => `  ${source}: ${reason}`)
    super(
      [`No ${fields.service} service could be had. Tried:`, ...lines, `What helps: ${fields.hint}`].join("\n")
    )
    this.name = "ServiceUnavailable"
    this.service = fields.service
    this.tried = fields.tried
    this.hint = fields.hint
  }
}

/** The service runs somewhere we do not control, so it cannot be frozen, killed or started again. */
export class ServiceNotControllable extends Error {
  readonly _tag = "ServiceNotControllable"
  readonly operation: string
  readonly source: Source

  constructor(fields: { readonly operation: string; readonly source: Source; readonly reason: string }) {
    super(`cannot ${fields.operation} a service of source ${fields.source}: ${fields.reason}`)
    this.name = "ServiceNotControllable"
    this.operation = fields.operation
    this.source = fields.source
  }
}

/** The server was started but ended, or did not answer in time. `log` holds the last lines it wrote. */
export class ServerDidNotStart extends Error {
  readonly _tag = "ServerDidNotStart"
  readonly command: string
  readonly reason: string
  readonly log: string

  constructor(fields: { readonly command: string; readonly reason: string; readonly log: string }) {
    super(`${fields.command} ${fields.reason}${fields.log === "" ? "" : `; it wrote:\n${fields.log}`}`)
    this.name = "ServerDidNotStart"
    this.command = fields.command
    this.reason = fields.reason
    this.log = fields.log
  }
}

/** A setting (an environment variable or an option) has a value that cannot be used. */
export class InvalidSetting extends Error {
  readonly _tag = "InvalidSetting"
  readonly setting: string
  readonly value: string

  constructor(fields: { readonly setting: string; readonly value: string; readonly reason: string }) {
    super(`${fields.setting}=${fields.value}: ${fields.reason}`)
    this.name = "InvalidSetting"
    this.setting = fields.setting
    this.value = fields.value
  }
}

/** A source that cannot give the service here, in a sentence; the next source is tried. */
export class SourceUnusable extends Error {
  readonly _tag = "SourceUnusable"

  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options)
    this.name = "SourceUnusable"
  }
}

/** The text of whatever was thrown; empty messages (Node's AggregateError) give their code or parts instead. */
export function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === "") return error.errors.map(messageOf).join("; ")
  if (!(error instanceof Error)) return String(error)
  if (error.message !== "") return error.message
  return "code" in error ? String(error.code) : error.name
}
