import { sql } from "kysely"
import { inspect } from "node:util"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { type SecureStores, startSecureStores } from "../../../test/secure-stores.ts"
import { freePort } from "../../../test/free-port.ts"
import { testSettings } from "../../../test/settings.ts"
import { startServer } from "../../server.ts"
import { db } from "./database.ts"

/** The password of the users `tls`, `x509` and `ann`, as it is and in a URL. */
const SECRET = "p@ss:w/rd#%1"
const PASSWORD = encodeURIComponent(SECRET)

describe("addresses as people have them", () => {
  let stores: SecureStores
  let closed: number
  beforeAll(async () => {
    stores = await startSecureStores()
    closed = await freePort()
  }, 120_000)
  afterAll(() => stores?.[Symbol.asyncDispose]())

  /** Fills in what the stores are called this time. */
  const filled = (url: string) =>
    url
      .replaceAll("DIR", stores.directory)
      .replaceAll("SOCKET", encodeURIComponent(stores.sql.socket))
      .replaceAll("REDIS_TLS", String(stores.redis.tlsPort))
      .replaceAll("REDIS", String(stores.redis.port))
      .replaceAll("SQL", String(stores.sql.port))
      .replaceAll("CLOSED", String(closed))
      .replaceAll("USER", `${stores.sql.user}:${stores.sql.password}`)

  const PLAIN_SQL = "mysql://USER@127.0.0.1:SQL/secure"
  const PLAIN_REDIS = "redis://127.0.0.1:REDIS/3"

  const settingsOf = (mysqlUrl: string, redisUrl: string) =>
    testSettings(filled(mysqlUrl), filled(redisUrl), { databaseConnections: 2 })

  /** What a server on these addresses says of itself, and the cipher of its connection to the database. */
  const serve = async (mysqlUrl: string, redisUrl: string) => {
    const server = await startServer(settingsOf(mysqlUrl, redisUrl), { logLevel: "None" })
    try {
      const ready = await fetch(`${server.url}/readyz`)
      const status = await server.runtime.runPromise(
        db.first(() => sql<{ Value: string }>`show session status like 'Ssl_cipher'`)
      )
      return { status: ready.status, body: await ready.text(), cipher: status?.Value ?? "" }
    } finally {
      await server.stop()
    }
  }

  test.each([
    ["mysql://tls:PW@localhost:SQL/secure?ssl-mode=REQUIRED"],
    ["mysql://tls:PW@127.0.0.1:SQL/secure?sslMode=required"],
    ["mysql://tls:PW@localhost:SQL/secure?ssl-mode=VERIFY_CA&ssl-ca=DIR/ca.pem"],
    ["mysql://tls:PW@localhost:SQL/secure?ssl-ca=DIR/ca.pem"],
    ["mysql://tls:PW@localhost:SQL/secure?ssl-mode=VERIFY_IDENTITY&ssl-ca=DIR/ca.pem"],
    ["mysql://tls:PW@127.0.0.1:SQL/secure?ssl-mode=VERIFY_IDENTITY&ssl-ca=DIR/ca.pem"],
    ["mariadb://tls:PW@[::1]:SQL/secure?ssl-mode=VERIFY_IDENTITY&ssl-ca=DIR/ca.pem"],
    ['mysql://tls:PW@localhost:SQL/secure?ssl={"rejectUnauthorized":false}'],
    [
      "mysql://x509:PW@localhost:SQL/secure?ssl-mode=VERIFY_CA&ssl-ca=DIR/ca.pem&ssl-cert=DIR/client.pem&ssl-key=DIR/client.key"
    ],
    ["mysql://tls:PW@127.0.0.1:CLOSED,localhost:SQL/secure?ssl-mode=VERIFY_CA&ssl-ca=DIR/ca.pem"]
  ])("%s is encrypted", async (url) => {
    const { cipher, status } = await serve(url.replace("PW", PASSWORD), PLAIN_REDIS)
    expect(status).toBe(200)
    expect(cipher).not.toBe("")
  })

  test.each([
    [PLAIN_SQL],
    ["mariadb://USER@127.0.0.1:SQL/secure?charset=utf8mb4"],
    ["mysql://USER@[::1]:SQL/secure?ssl-mode=DISABLED"],
    ["mysql://USER@localhost/secure?socket=DIR/sql.sock"],
    ["mysql://USER@SOCKET/secure"],
    ["mysql://USER@127.0.0.1:CLOSED,[::1]:CLOSED,127.0.0.1:SQL/secure"]
  ])("%s is a database in clear", async (url) => {
    const { cipher, status } = await serve(url, PLAIN_REDIS)
    expect(status).toBe(200)
    expect(cipher).toBe("")
  })

  // Guarantees: who asks for encryption never gets a connection in clear, nor one with somebody else.
  test.each([
    ["mysql://tls:PW@localhost:SQL/secure"],
    ["mysql://tls:PW@localhost:SQL/secure?ssl-mode=VERIFY_CA"],
    ["mysql://tls:PW@localhost:SQL/secure?ssl-mode=REQUIRED&ssl-ca=DIR/other-ca.pem"],
    ["mysql://tls:PW@127.0.0.2:SQL/secure?ssl-mode=VERIFY_IDENTITY&ssl-ca=DIR/ca.pem"],
    ["mysql://x509:PW@localhost:SQL/secure?ssl-mode=VERIFY_CA&ssl-ca=DIR/ca.pem"],
    ["mysql://tls:PW@127.0.0.1:CLOSED/secure?ssl-mode=REQUIRED"]
  ])("%s is refused, without its password", async (url) => {
    const failure = await serve(url.replace("PW", PASSWORD), PLAIN_REDIS).then(
      () => "no failure",
      (error: unknown) => inspect(error, { depth: 9 })
    )
    expect(failure).toContain("MigrationFailed")
    for (const secret of [SECRET, PASSWORD]) expect(failure).not.toContain(secret)
  })

  test.each([
    [PLAIN_REDIS],
    ["redis://ann:PW@[::1]:REDIS/1"],
    ["unix://DIR/redis.sock?db=2"],
    ["redis+unix://ann:PW@DIR/redis.sock"],
    ["rediss://ann:PW@localhost:REDIS_TLS/1?ssl-ca=DIR/ca.pem"],
    ["rediss://127.0.0.1:REDIS_TLS?ssl-ca=DIR/ca.pem"],
    [
      "rediss://[::1]:REDIS_TLS?ssl-mode=VERIFY_CA&ssl-ca=DIR/ca.pem&ssl-cert=DIR/client.pem&ssl-key=DIR/client.key"
    ],
    ["rediss://localhost:REDIS_TLS?ssl-mode=REQUIRED"]
  ])("%s is a Redis", async (url) => {
    const { body, status } = await serve(PLAIN_SQL, url.replace("PW", PASSWORD))
    expect(status).toBe(200)
    expect(JSON.parse(body)).toMatchObject({ redis: "up" })
  })

  test.each([
    ["redis://ann:wrong-secret@127.0.0.1:REDIS"],
    ["rediss://ann:wrong-secret@localhost:REDIS_TLS"],
    ["rediss://ann:wrong-secret@127.0.0.2:REDIS_TLS?ssl-ca=DIR/ca.pem"],
    ["rediss://ann:wrong-secret@localhost:REDIS_TLS?ssl-ca=DIR/other-ca.pem"]
  ])("%s is not used, and its password is told to nobody", async (url) => {
    const { body, status } = await serve(PLAIN_SQL, url)
    expect(status).toBe(200)
    expect(JSON.parse(body)).not.toMatchObject({ redis: "up" })
    expect(body).not.toContain("wrong-secret")
  })
})
