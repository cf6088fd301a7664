import type { Source } from "./service.ts"

/** A source that was tried for a service, and the reason why it failed. */
export interface Attempt {
  readonly source: Source
  readonly reason: string
}

/** No source could provide the service. The message lists what was tried; the hint says what to install or set. */
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
      [`No ${fields.service} service is available. Tried:`, ...lines, `To fix this: ${fields.hint}`].join(
        "\n"
      )
    )
    this.name = "ServiceUnavailable"
    this.service = fields.service
    this.tried = fields.tried
    this.hint = fields.hint
  }
}

/** The service was not started here, so it cannot be frozen, killed or restarted. */
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

/** The server ended during its start or did not answer in time. `log` holds the last lines of its output. */
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

/** An environment variable or option has an unusable value. */
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

/** A source cannot provide the service on this machine; the next source is tried. The message says why. */
export class SourceUnusable extends Error {
  readonly _tag = "SourceUnusable"

  constructor(reason: string, options?: ErrorOptions) {
    super(reason, options)
    this.name = "SourceUnusable"
  }
}
