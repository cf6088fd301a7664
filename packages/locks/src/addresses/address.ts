import { Data } from "effect"

/** An address of a store is not understood. The reason names what is wrong, and never a value that may be secret. */
export class InvalidAddress extends Data.TaggedError("InvalidAddress")<{ readonly reason: string }> {
  override get message() {
    return this.reason
  }
}

export const refuse = (reason: string): never => {
  throw new InvalidAddress({ reason })
}

/** A TCP address or the path of a Unix socket. */
export type Endpoint =
  | { readonly host: string; readonly port: number | undefined }
  | { readonly path: string }

/** The parts of an address, decoded. */
export interface Address {
  readonly scheme: string
  readonly username: string | undefined
  readonly password: string | undefined
  /** At least one. */
  readonly endpoints: ReadonlyArray<Endpoint>
  /** The path without its first slash. */
  readonly path: string
  readonly parameters: Parameters
}

const PARTS =
  /^(?<scheme>[a-z][a-z+-]*):\/\/(?:(?<user>[^/?#]*)@)?(?<hosts>[^/?#@]*)(?:\/(?<path>[^?#@]*))?(?:\?(?<query>[^#@]*))?$/i

/**
 * Reads `scheme://user:password@host:port,host:port/path?parameter=value`. The web's URL has no place for several hosts.
 * Throws {@link InvalidAddress}.
 * @param schemes what the address may start with, in lower case
 */
export const parseAddress = (text: string, schemes: ReadonlyArray<string>): Address => {
  const parts = PARTS.exec(text)?.groups
  const scheme = parts?.["scheme"]?.toLowerCase()
  if (scheme === undefined || !schemes.includes(scheme)) {
    const isOurs = schemes.some((known) => text.toLowerCase().startsWith(`${known}://`))
    if (isOurs) return refuse("is no URL; a #, ? or / in a user name or password is written with %")
    return refuse(`must be a URL that starts with ${schemes.map((known) => `${known}://`).join(" or ")}`)
  }
  const { hosts = "", path = "", query, user } = parts!
  const colon = user?.indexOf(":") ?? -1
  const username = colon === -1 ? user : user!.slice(0, colon)
  return {
    scheme,
    username: username === undefined || username === "" ? undefined : decode(username, "user name"),
    password: colon === -1 ? undefined : decode(user!.slice(colon + 1), "password") || undefined,
    endpoints: hosts.split(",").map(endpointOf),
    path: decode(path, "path"),
    parameters: new Parameters(query ?? "")
  }
}

const decode = (text: string, what: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return refuse(`has a % in its ${what} that is no escape; a % itself is written %25`)
  }
}

const TCP = /^(?:\[(?<v6>[0-9a-f:.]+)\]|(?<name>[^:[\]]*))(?::(?<port>\d{1,5}))?$/i

const endpointOf = (text: string): Endpoint => {
  const parts = TCP.exec(text)?.groups
  if (parts === undefined)
    return refuse("has a host that is none; an IPv6 address stands in brackets, as in [::1]:3306")
  const host = parts["v6"] ?? decode(parts["name"]!, "host")
  const port = parts["port"] === undefined ? undefined : Number(parts["port"])
  if (host.startsWith("/")) return port === undefined ? { path: host } : refuse("has a socket with a port")
  if (host === "") return refuse("names no host")
  if (port !== undefined && (port < 1 || port > 65_535))
    return refuse("has a port that is not between 1 and 65535")
  return { host, port }
}

/** The parameters of an address. Their names are the same in any case, with hyphens, underscores or neither. */
export class Parameters {
  private readonly values = new Map<string, { readonly name: string; readonly value: string }>()

  constructor(query: string) {
    for (const pair of query.split("&").filter((text) => text !== "")) {
      const equals = pair.indexOf("=")
      const name = decode(equals === -1 ? pair : pair.slice(0, equals), "parameters")
      const key = keyOf(name)
      if (this.values.has(key)) refuse(`has the parameter ${name} twice`)
      this.values.set(key, {
        name,
        value: equals === -1 ? "" : decode(pair.slice(equals + 1), `parameter ${name}`)
      })
    }
  }

  /** The value of the parameter, which counts as understood from now on. */
  take(name: string): string | undefined {
    const key = keyOf(name)
    const found = this.values.get(key)?.value
    this.values.delete(key)
    return found
  }

  /** Refuses the parameters that nobody took, by name. */
  refuseRest(): void {
    const [left] = this.values.values()
    if (left !== undefined) refuse(`has the parameter ${left.name}, which is not understood`)
  }
}

const keyOf = (name: string): string => name.toLowerCase().replaceAll(/[-_]/g, "")

/** A number of a database or family, which is whole. */
export const wholeOf = (text: string, what: string): number =>
  /^\d{1,5}$/.test(text) ? Number(text) : refuse(`has a ${what} that is no whole number`)
