import { expect, test } from "vitest"
import { InvalidAddress } from "./address.ts"
import { mysqlOptionsOf } from "./mysql.ts"
import { redisOptionsOf } from "./redis.ts"

test.each([
  ["mysql://h", { host: "h", port: 3306 }],
  [
    "MySQL://u:p%40%3A%2F%23%25@h:3307/my%20shop",
    { host: "h", port: 3307, user: "u", password: "p@:/#%", database: "my shop" }
  ],
  // The last @ ends the password, as everywhere on the web.
  ["mysql://u:p@ss@h/d", { host: "h", port: 3306, user: "u", password: "p@ss", database: "d" }],
  ["mysql://[2001:db8::1]:3307/d", { host: "2001:db8::1", port: 3307, database: "d" }],
  ["mariadb://u@h/d?ssl-mode=disabled", { host: "h", port: 3306, user: "u", database: "d" }],
  [
    "mysql://h/d?SSL_MODE=required",
    { host: "h", port: 3306, database: "d", ssl: { rejectUnauthorized: false, verifyIdentity: false } }
  ],
  [
    "mysql://h/d?ssl=true",
    { host: "h", port: 3306, database: "d", ssl: { rejectUnauthorized: true, verifyIdentity: false } }
  ],
  [
    "mysql://h/d?sslmode=verify-full",
    { host: "h", port: 3306, database: "d", ssl: { rejectUnauthorized: true, verifyIdentity: true } }
  ],
  ["mysql://%2Frun%2Fsql.sock/d", { socketPath: "/run/sql.sock", database: "d" }],
  ["mysql://localhost/d?socketPath=/run/sql.sock", { socketPath: "/run/sql.sock", database: "d" }]
])("%s", (url, options) => {
  expect(mysqlOptionsOf(url)).toEqual(options)
})

test.each([
  ["redis://h", { host: "h", port: 6379 }],
  ["redis://h:6380/3", { host: "h", port: 6380, db: 3 }],
  ["redis://:p%40@h/", { host: "h", port: 6379, password: "p@" }],
  [
    "redis://ann:p@[::1]?db=2&family=6",
    { host: "::1", port: 6379, username: "ann", password: "p", db: 2, family: 6 }
  ],
  ["rediss://h", { host: "h", port: 6379, tls: { rejectUnauthorized: true } }],
  [
    "rediss://h?ssl-mode=REQUIRED",
    { host: "h", port: 6379, tls: { rejectUnauthorized: false, checkServerIdentity: expect.any(Function) } }
  ],
  ["unix:///run/redis.sock?db=1", { path: "/run/redis.sock", db: 1 }],
  ["redis+unix://ann:p@/run/redis.sock", { path: "/run/redis.sock", username: "ann", password: "p" }],
  [
    "redis+sentinel://ann:p@a:1,[::1]/main/2?sentinel-password=s",
    {
      name: "main",
      sentinels: [
        { host: "a", port: 1 },
        { host: "::1", port: 26_379 }
      ],
      username: "ann",
      password: "p",
      sentinelPassword: "s",
      db: 2
    }
  ],
  [
    "rediss+sentinel://a/main",
    {
      name: "main",
      sentinels: [{ host: "a", port: 26_379 }],
      tls: { rejectUnauthorized: true },
      sentinelTLS: { rejectUnauthorized: true },
      enableTLSForSentinelMode: true
    }
  ],
  [
    "redis+cluster://ann:p@a:1,[::1]/0",
    {
      nodes: [
        { host: "a", port: 1 },
        { host: "::1", port: 6379 }
      ],
      username: "ann",
      password: "p"
    }
  ],
  [
    "rediss+cluster://a?family=6",
    { nodes: [{ host: "a", port: 6379 }], family: 6, tls: { rejectUnauthorized: true } }
  ]
])("%s", (url, options) => {
  expect(redisOptionsOf(url)).toEqual(options)
})

// Guarantees: what is not understood is refused instead of ignored, and no refusal tells a secret.
test.each([
  "",
  "hunter2",
  "mysql:hunter2",
  "mysql://",
  "mysql://u:hunter2@",
  "mysql://u:hunter2@h:0/d",
  "mysql://u:hunter2@h:x/d",
  "mysql://u:hunter2@h/d/e",
  "mysql://u:hunter2@h/d#e",
  // Unescaped, the rest of a password looks like a path or a parameter.
  "mysql://u:12/hunter2@h/d",
  "mysql://u:12?hunter2@h/d",
  "mysql://u:12#hunter2@h/d",
  "mysql://u:hunter2@h/d?ssl-mode=VERIFY_SOME",
  "mysql://u:hunter2@h/d?allowPublicKeyRetrieval=true",
  "mysql://u:hunter2@a,b/d?ssl-mode=VERIFY_IDENTITY",
  "mysql://u:hunter2@a,%2Fsock/d",
  "mysql://u:hunter2@%2Fsock:1/d",
  "mysql://u:hunter2@h/d?ssl-mode=DISABLED&ssl-ca=/etc/hostname",
  "mysql://u:hunter2@h/d?charset=latin1",
  "redis://u:hunter2@a,b",
  "redis://u:hunter2@%2Fsock",
  "unix://u:hunter2@h",
  "redis+sentinel://u:hunter2@h",
  "redis+sentinel://u:hunter2@%2Fsock/main",
  "redis+cluster://u:hunter2@a,b/1",
  "redis+cluster://u:hunter2@a?db=1",
  "redis+cluster://u:hunter2@a,%2Fsock",
  "redis+cluster://u:hunter2@",
  "redis+cluster://u:hunter2@a?sentinel-password=hunter2",
  "redis+cluster://u:hunter2@a?ssl-mode=REQUIRED",
  "rediss://u:hunter2@h?ssl-mode=DISABLED",
  "redis://u:hunter2@h/1/2",
  "redis://u:hunter2@h?maxRetriesPerRequest=hunter2"
])("%s is refused", (url) => {
  const optionsOf = /^(?:redis|unix)/.test(url) ? redisOptionsOf : mysqlOptionsOf
  let refusal: unknown
  try {
    optionsOf(url)
  } catch (error) {
    refusal = error
  }
  expect(refusal).toBeInstanceOf(InvalidAddress)
  expect(`${String(refusal)} ${JSON.stringify(refusal)}`).not.toContain("hunter2")
})
