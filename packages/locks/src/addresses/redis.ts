import type { ClusterNode, RedisOptions as AnyRedisOptions } from "ioredis"
import { type Address, type Parameters, parseAddress, refuse, wholeOf } from "./address.ts"
import { type Tls, takeTls } from "./tls.ts"

/** Without the option whose type depends on the client's. */
type RedisOptions = Omit<AnyRedisOptions, "replyMapping">

/** Where a Redis is: the client's options. Those of a cluster name `nodes`, and the rest is what each node is told. */
export interface RedisAddress extends RedisOptions {
  readonly nodes?: ReadonlyArray<ClusterNode>
}

const DEFAULT_PORT = 6379
const SENTINEL_PORT = 26_379

const SCHEMES = [
  "redis",
  "rediss",
  "unix",
  "redis+unix",
  "redis+sentinel",
  "rediss+sentinel",
  "redis+cluster",
  "rediss+cluster"
]

/**
 * The client's options for `redis://user:password@host:port/database`, `rediss://` (TLS, verified), `unix:///path?db=1`,
 * `redis+sentinel://user:password@host:port,host:port/group/database` and `rediss+sentinel://`, or
 * `redis+cluster://user:password@host:port,host:port` and `rediss+cluster://`, which need not name every node.
 * Parameters: `db`, `family` (4 or 6), `sentinel-password`, and with TLS `ssl-mode` (`REQUIRED`, `VERIFY_CA`,
 * `VERIFY_IDENTITY`), `ssl-ca`, `ssl-cert` and `ssl-key` (paths of PEM files). Throws `InvalidAddress` for whatever is not
 * understood.
 */
export const redisOptionsOf = (url: string): RedisAddress => {
  // A path of its own has no host before it.
  const address = parseAddress(
    url.replace(/^((?:redis\+)?unix:\/\/(?:[^/?#]*@)?)(\/[^?#]*)/i, withHost),
    SCHEMES
  )
  const { parameters, password, scheme, username } = address
  if (username !== undefined && password === undefined) refuse("names a user without a password")
  const isSecure = scheme.startsWith("rediss")
  const tls = takeTls(parameters, isSecure ? "VERIFY_IDENTITY" : undefined)
  if (isSecure !== (tls !== undefined))
    refuse("has TLS settings that do not fit; rediss:// is TLS, redis:// is not")
  const place = placeOf(address, tls)
  parameters.refuseRest()
  return {
    ...place,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(tls === undefined ? {} : { tls: tlsOptionsOf(tls) })
  }
}

const placeOf = (address: Address, tls: Tls | undefined): RedisAddress => {
  if (address.scheme.endsWith("sentinel")) return sentinelsOf(address, tls)
  return address.scheme.endsWith("cluster") ? clusterOf(address) : serverOf(address)
}

const withHost = (_text: string, before: string, path: string): string =>
  `${before}${path.replaceAll("/", "%2F")}`

const serverOf = ({ endpoints, parameters, path, scheme }: Address): RedisOptions => {
  const [endpoint] = endpoints
  if (endpoint === undefined || endpoints.length > 1)
    return refuse(
      "names several hosts; those of a group with sentinels start with redis+sentinel://, those of a cluster with redis+cluster://"
    )
  const isSocket = scheme.endsWith("unix")
  if (isSocket !== "path" in endpoint) return refuse("has a socket that does not fit; it is unix:///path")
  const database = databaseOf(path, parameters.take("db"))
  if ("path" in endpoint) return { path: endpoint.path, ...database }
  return { host: endpoint.host, port: endpoint.port ?? DEFAULT_PORT, ...database, ...familyOf(parameters) }
}

const familyOf = (parameters: Parameters): { readonly family?: number } => {
  const family = parameters.take("family")
  if (family !== undefined && family !== "4" && family !== "6") refuse("has a family that is not 4 or 6")
  return family === undefined ? {} : { family: Number(family) }
}

const clusterOf = ({ endpoints, parameters, path }: Address): RedisAddress => {
  if (databaseOf(path, parameters.take("db")).db)
    return refuse("names a database other than 0, and a cluster has no other")
  return {
    nodes: endpoints.map((endpoint) =>
      "path" in endpoint
        ? refuse("has a node that is a socket")
        : { host: endpoint.host, port: endpoint.port ?? DEFAULT_PORT }
    ),
    ...familyOf(parameters)
  }
}

const sentinelsOf = ({ endpoints, parameters, path }: Address, tls: Tls | undefined): RedisOptions => {
  const [name = "", database = "", ...rest] = path.split("/")
  if (name === "" || rest.length > 0)
    return refuse("needs the sentinels' group, as in redis+sentinel://host/group/0")
  const sentinelPassword = parameters.take("sentinel-password")
  return {
    name,
    sentinels: endpoints.map((endpoint) =>
      "path" in endpoint
        ? refuse("has a sentinel that is a socket")
        : { host: endpoint.host, port: endpoint.port ?? SENTINEL_PORT }
    ),
    ...databaseOf(database, parameters.take("db")),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
    ...(tls === undefined ? {} : { sentinelTLS: tlsOptionsOf(tls), enableTLSForSentinelMode: true })
  }
}

const databaseOf = (path: string, parameter: string | undefined): { readonly db?: number } => {
  if (path !== "" && parameter !== undefined) return refuse("names its database twice")
  const text = path === "" ? parameter : path
  return text === undefined ? {} : { db: wholeOf(text, "database") }
}

const tlsOptionsOf = ({ mode, ...files }: Tls): NonNullable<RedisOptions["tls"]> => ({
  ...files,
  rejectUnauthorized: mode !== "REQUIRED",
  ...(mode === "VERIFY_IDENTITY" ? {} : { checkServerIdentity: () => undefined })
})
