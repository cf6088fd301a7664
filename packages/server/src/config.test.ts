import { ConfigProvider, Effect, Redacted } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, test } from "vitest"
import { settingsFromEnvironment } from "./config.ts"

const SECRET = "0123456789abcdef0123456789abcdef"
const complete = {
  HOLDFAST_MYSQL_URL: "mysql://u:hunter2@127.0.0.1:1/x",
  HOLDFAST_REDIS_URL: "redis://:hunter2@127.0.0.1:1",
  HOLDFAST_SECRET: SECRET
}

const settingsOf = (env: Record<string, string>) =>
  Effect.runPromise(
    settingsFromEnvironment.pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))
  )

describe("settings", () => {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-settings-"))
  afterAll(() => rmSync(directory, { recursive: true }))
  const file = (name: string, text: string): string => {
    writeFileSync(join(directory, name), text)
    return join(directory, name)
  }

  test.each<[Record<string, string>, string]>([
    ...[
      ["ssl-mode=PREFERRED", "has an ssl-mode that is not understood"],
      ["ssl-mode=", "has an ssl-mode that is not understood"],
      ["sslMode=REQUIRED&ssl_mode=DISABLED", "has the parameter ssl_mode twice"],
      ["ssl-ca=/does/not/exist.pem", "has an ssl-ca that cannot be read (ENOENT)"],
      ["ssl-cert=/etc/hostname", "needs both ssl-cert and ssl-key, or neither"],
      ["useSSL=hunter2", "has the parameter useSSL, which is not understood"],
      ["timezone=hunter2", "has the parameter timezone, which is not understood"],
      ["ssl=hunter2", "has a parameter ssl that is not understood; use ssl-mode"]
    ].map(([parameters, message]): [Record<string, string>, string] => [
      { HOLDFAST_MYSQL_URL: `mysql://u:hunter2@127.0.0.1:1/x?${parameters}` },
      `HOLDFAST_MYSQL_URL ${message}`
    ]),
    [{ HOLDFAST_MYSQL_URL: "mysql://u:hunter2#@127.0.0.1:1/x" }, "HOLDFAST_MYSQL_URL is no URL; a #"],
    [
      { HOLDFAST_MYSQL_URL: "mysql://u:hunter2%@127.0.0.1:1/x" },
      "HOLDFAST_MYSQL_URL has a % in its password"
    ],
    [
      { HOLDFAST_MYSQL_URL: "mysql://u:hunter2@::1/x" },
      "HOLDFAST_MYSQL_URL has a host that is none; an IPv6"
    ],
    [{ HOLDFAST_MYSQL_URL: "mysql:///x" }, "HOLDFAST_MYSQL_URL names no host"],
    [{ HOLDFAST_MYSQL_URL: "mysql://h:70000/x" }, "HOLDFAST_MYSQL_URL has a port that is not between"],
    [{ HOLDFAST_REDIS_URL: "redis://:hunter2@h/zero" }, "HOLDFAST_REDIS_URL has a database that is no whole"],
    [
      { HOLDFAST_REDIS_URL: "redis://h?ssl-mode=REQUIRED" },
      "HOLDFAST_REDIS_URL has TLS settings that do not fit"
    ],
    [{ HOLDFAST_REDIS_URL: "redis://a,b" }, "HOLDFAST_REDIS_URL names several hosts"],
    [{ HOLDFAST_REDIS_URL: "redis://ann@h" }, "HOLDFAST_REDIS_URL names a user without a password"],
    [{ HOLDFAST_REDIS_URL: "redis://h/1?db=2" }, "HOLDFAST_REDIS_URL names its database twice"],
    [{ HOLDFAST_REDIS_URL: "redis://h?keyPrefix=hunter2" }, "HOLDFAST_REDIS_URL has the parameter keyPrefix"],
    [
      {
        HOLDFAST_WEBHOOK_URL: "https://ann:hunter2@shop.example/",
        HOLDFAST_WEBHOOK_SECRET: "0123456789abcdef"
      },
      "HOLDFAST_WEBHOOK_URL must not hold a user name or password"
    ],
    [
      { HOLDFAST_WEBHOOK_URL: "https://hunter2@shop.example/", HOLDFAST_WEBHOOK_SECRET: "0123456789abcdef" },
      "HOLDFAST_WEBHOOK_URL must not hold a user name or password"
    ],
    [{ HOLDFAST_SECRET_FILE: "/etc/hostname" }, "HOLDFAST_SECRET and HOLDFAST_SECRET_FILE are both set"],
    [
      { HOLDFAST_SECRET: "", HOLDFAST_SECRET_FILE: "/does/not/exist" },
      "HOLDFAST_SECRET_FILE names a file that cannot be read (ENOENT)"
    ],
    [
      { HOLDFAST_SECRET: "", HOLDFAST_SECRET_FILE: "/" },
      "HOLDFAST_SECRET_FILE names a file that cannot be read"
    ],
    [
      { HOLDFAST_SECRET: "", HOLDFAST_SECRET_FILE: "/dev/null" },
      "HOLDFAST_SECRET must have at least 32 characters"
    ]
  ])("%j is refused by name, and no secret is told", async (wrong, message) => {
    const refusal = await settingsOf({ ...complete, ...wrong }).then(
      () => "accepted",
      (error: unknown) => String(error)
    )
    expect(refusal).toContain(message)
    expect(refusal).not.toContain("hunter2")
  })

  // Guarantees: every setting that may be secret can come from a file, which only the server's user reads.
  test("addresses and secrets are read from the files that *_FILE names, without the last line break", async () => {
    const variables = {
      ...complete,
      HOLDFAST_WEBHOOK_URL: "https://shop.example/",
      HOLDFAST_WEBHOOK_SECRET: "0123456789abcdef "
    }
    const files = Object.entries(variables).map(([name, value]) => [`${name}_FILE`, file(name, `${value}\n`)])
    const settings = await settingsOf(Object.fromEntries(files))
    expect(settings).toEqual(await settingsOf(variables))
    expect(Redacted.value(settings.webhook!.secret)).toBe("0123456789abcdef ")
  })

  test("an empty variable beside a file counts as not set", async () => {
    const settings = await settingsOf({
      ...complete,
      HOLDFAST_SECRET: "",
      HOLDFAST_SECRET_FILE: file("secret", `${SECRET}\r\n`)
    })
    expect(Redacted.value(settings.secret)).toBe(SECRET)
  })
})
