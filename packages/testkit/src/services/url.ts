import { messageOf } from "../internal/message-of.ts"
import { urlOfDatabase } from "../internal/urls.ts"
import { redisServerInfo, sqlMethods, sqlServerInfo, withRedis, withSql } from "./clients.ts"
import { InvalidSetting, ServiceNotControllable, SourceUnusable } from "./errors.ts"
import type { RedisFlavour, RedisService, ServiceControls, SqlFlavour, SqlService } from "./service.ts"
import type { Wish } from "./settings.ts"

const SQL_URL = "HOLDFAST_MYSQL_URL"
const REDIS_URL = "HOLDFAST_REDIS_URL"
const ANSWER_MS = 5_000

/** The server that `HOLDFAST_MYSQL_URL` names. A variable that is set to an unusable URL is an error, not a skip. */
export async function urlSql(wish: Wish<SqlFlavour>): Promise<SqlService> {
  const url = readUrl(SQL_URL, ["mysql:", "mariadb:"])
  const address = {
    host: hostOf(url),
    port: url.port === "" ? 3306 : Number(url.port),
    user: decoded(SQL_URL, url, url.username) || "root",
    password: decoded(SQL_URL, url, url.password)
  }
  const info = await withSql(address, sqlServerInfo, ANSWER_MS).catch((error: unknown) =>
    refuse(SQL_URL, url, error)
  )
  requireKind(SQL_URL, url, wish.kind, info.flavour)
  return {
    flavour: info.flavour,
    version: info.version,
    source: "url",
    identity: {},
    ...sqlMethods(address),
    ...notOurs
  }
}

/** The server that `HOLDFAST_REDIS_URL` names. */
export async function urlRedis(wish: Wish<RedisFlavour>): Promise<RedisService> {
  const url = readUrl(REDIS_URL, ["redis:", "rediss:"])
  const info = await withRedis(url.href, redisServerInfo, ANSWER_MS).catch((error: unknown) =>
    refuse(REDIS_URL, url, error)
  )
  requireKind(REDIS_URL, url, wish.kind, info.flavour)
  return {
    flavour: info.flavour,
    version: info.version,
    source: "url",
    host: hostOf(url),
    port: url.port === "" ? 6379 : Number(url.port),
    identity: {},
    // Without an index, the database of the variable's URL.
    url: (database) => (database === undefined ? url.href : urlOfDatabase(url.href, database)),
    ...notOurs
  }
}

function readUrl(variable: string, protocols: ReadonlyArray<string>): URL {
  const value = process.env[variable]
  if (value === undefined || value === "") throw new SourceUnusable(`${variable} is not set`)
  if (!URL.canParse(value))
    // A malformed address may hold a password at any place.
    throw new InvalidSetting({
      setting: variable,
      value: value.includes("@") ? "***" : value,
      reason: "not a URL"
    })
  const url = new URL(value)
  if (!protocols.includes(url.protocol))
    throw new InvalidSetting({
      setting: variable,
      value: withoutPassword(url),
      reason: `expected a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(" or ")}`
    })
  const [parameter = url.hash.slice(0, 1)] = url.searchParams.keys()
  // What is no name may be the rest of a password that was not escaped.
  if (parameter !== "")
    refuseAddress(
      variable,
      url,
      `${/^[\w-]+$/.test(parameter) ? parameter : "a parameter"} is not understood`
    )
  if (url.hostname.includes("%") || url.hostname.includes(","))
    refuseAddress(variable, url, "Unix sockets and several hosts are not understood")
  return url
}

/** An address that asks for more than is done here must not work as if it had not. */
function refuseAddress(variable: string, url: URL, reason: string): never {
  throw new InvalidSetting({ setting: variable, value: withoutPassword(url), reason })
}

function decoded(variable: string, url: URL, text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return refuseAddress(variable, url, "a % in the user name or password is no escape")
  }
}

/** The host without the brackets of an IPv6 address. */
const hostOf = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, "")

function refuse(variable: string, url: URL, error: unknown): never {
  throw new InvalidSetting({
    setting: variable,
    value: withoutPassword(url),
    reason: `no usable server there (${messageOf(error)}). Correct the variable, or unset it to use another source`
  })
}

function requireKind(variable: string, url: URL, wanted: string, found: string): void {
  if (wanted === "any" || wanted === found) return
  throw new InvalidSetting({
    setting: variable,
    value: withoutPassword(url),
    reason: `the server there is ${found}, wanted is ${wanted}`
  })
}

function withoutPassword(url: URL): string {
  const shown = new URL(url.href)
  if (shown.password !== "") shown.password = "***"
  shown.search = ""
  shown.hash = ""
  return shown.href
}

const cannot = (operation: string) => () =>
  Promise.reject(
    new ServiceNotControllable({
      operation,
      source: "url",
      reason: "it was not started here, only its URL is known"
    })
  )

const notOurs: ServiceControls = {
  freeze: cannot("freeze"),
  thaw: cannot("thaw"),
  kill: cannot("kill"),
  restart: cannot("restart"),
  stop: () => Promise.resolve(),
  outlive: () => Promise.resolve(undefined)
}
