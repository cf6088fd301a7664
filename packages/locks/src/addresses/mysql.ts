import type { PoolOptions } from "mysql2"
import { isIP } from "node:net"
import { type Endpoint, type Parameters, parseAddress, refuse } from "./address.ts"
import { DialledStream } from "./dialled-stream.ts"
import { type Tls, takeTls } from "./tls.ts"

const DEFAULT_PORT = 3306

/**
 * The driver's options for `mysql://user:password@host:port/database` or `mariadb://`. Parameters: `ssl-mode`
 * (`DISABLED`, `REQUIRED`, `VERIFY_CA`, `VERIFY_IDENTITY`), `ssl-ca`, `ssl-cert` and `ssl-key` (paths of PEM files),
 * `socket` (the path of a Unix socket). Of several hosts the first that can be reached is used. Throws `InvalidAddress`
 * for whatever is not understood.
 */
export const mysqlOptionsOf = (url: string): PoolOptions => {
  const { endpoints, parameters, password, path, username } = parseAddress(url, ["mysql", "mariadb"])
  const socket = parameters.take("socket") ?? parameters.take("socketPath")
  const tls = takeTls(parameters, modeOfDriver(parameters))
  const charset = parameters.take("charset")
  if (charset !== undefined && charset.toLowerCase() !== "utf8mb4")
    refuse("has a charset that is not utf8mb4")
  parameters.refuseRest()
  if (path.includes("/")) refuse("names more than one database")
  return {
    ...placeOf(socket === undefined ? endpoints : [{ path: socket }], tls),
    ...(username === undefined ? {} : { user: username }),
    ...(password === undefined ? {} : { password }),
    ...(path === "" ? {} : { database: path }),
    ...(tls === undefined ? {} : { ssl: sslOf(tls) })
  }
}

/** `ssl` as the driver's own URLs write it: `true`, or JSON with `rejectUnauthorized`. */
const modeOfDriver = (parameters: Parameters): Tls["mode"] | undefined => {
  const ssl = parameters.take("ssl")?.replaceAll(/\s/g, "")
  if (ssl === undefined || ssl === "false") return undefined
  if (ssl === "true" || ssl === "{}" || ssl === '{"rejectUnauthorized":true}') return "VERIFY_CA"
  if (ssl === '{"rejectUnauthorized":false}') return "REQUIRED"
  return refuse("has a parameter ssl that is not understood; use ssl-mode")
}

const sslOf = ({ mode, ...files }: Tls) => ({
  ...files,
  rejectUnauthorized: mode !== "REQUIRED",
  verifyIdentity: mode === "VERIFY_IDENTITY"
})

const placeOf = (endpoints: ReadonlyArray<Endpoint>, tls: Tls | undefined): PoolOptions => {
  const [first] = endpoints
  if (first === undefined) return refuse("names no host")
  if (endpoints.length === 1 && "path" in first) return { socketPath: first.path }
  const hosts = endpoints.map((endpoint) =>
    "path" in endpoint
      ? refuse("names a socket beside another host")
      : { host: endpoint.host, port: endpoint.port ?? DEFAULT_PORT }
  )
  const [{ host, port }] = hosts as [(typeof hosts)[number]]
  const verifies = tls?.mode === "VERIFY_IDENTITY"
  if (hosts.length > 1 && verifies)
    return refuse("names several hosts, whose identities cannot be verified; ssl-mode may be VERIFY_CA")
  // The driver would compare the certificate of an IP address with the name `localhost`.
  const isDialled = hosts.length > 1 || (verifies && isIP(host) !== 0)
  return { host, port, ...(isDialled ? { stream: () => new DialledStream(hosts) } : {}) }
}
