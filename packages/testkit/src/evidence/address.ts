/** A server to observe: an address, a service of `startServices`, or a URL (`redis://...`, `mysql://...`). */
export type ServerAddress = string | ServerAddressFields

/** The address of a server as separate fields. */
export interface ServerAddressFields {
  readonly host: string
  readonly port: number
  readonly user?: string
  readonly password?: string
  /** What the caller knows and the server cannot tell, such as the container's id. */
  readonly identity?: { readonly pid?: number; readonly containerId?: string }
}

const defaultPorts: Readonly<Record<string, number>> = { "redis:": 6379, "mysql:": 3306, "mariadb:": 3306 }

/** @throws TypeError for a URL of another protocol */
export const parseAddress = (address: ServerAddress): ServerAddressFields => {
  if (typeof address !== "string") return address
  const url = new URL(address)
  const port = url.port === "" ? defaultPorts[url.protocol] : Number(url.port)
  if (port === undefined)
    throw new TypeError(`${url.protocol}// is not a server that can be watched; use redis:// or mysql://`)
  return {
    host: url.hostname,
    port,
    ...(url.username === "" ? {} : { user: decodeURIComponent(url.username) }),
    ...(url.password === "" ? {} : { password: decodeURIComponent(url.password) })
  }
}
