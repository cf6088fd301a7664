import { ConfigProvider, Effect, Redacted } from "effect"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, describe, expect, test } from "vitest"
import { settingsFromEnvironment } from "./config.ts"
import { tableOfSettings } from "./operations.ts"
import { faultsOfSettings, reportOfSettings } from "./platform/settings-report.ts"

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

  const faultsOf = (env: Record<string, string>) =>
    Effect.runPromise(
      faultsOfSettings(env).pipe(Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }))))
    )

  // Guarantees: an operator sees everything that is wrong at once.
  test("all faults of the settings are named at once, each with its variable", async () => {
    expect(await faultsOf(complete)).toEqual([])
    const faults = await faultsOf({
      HOLDFAST_REDIS_URL: "redis://:hunter2@h/zero",
      HOLDFAST_SECRET: "hunter2",
      PORT: "eighty",
      HOLDFAST_WORKERS: "perhaps",
      HOLDFAST_RETENTION: "for ever",
      HOLDFAST_WEBHOOK_URL: "https://shop.example/",
      HOLDFAST_DATABASE_CONECTIONS: "4"
    })
    expect(new Set(faults.map((fault) => /^\w+/.exec(fault)?.[0]))).toEqual(
      new Set([
        "HOLDFAST_DATABASE_CONECTIONS",
        "HOLDFAST_MYSQL_URL",
        "HOLDFAST_REDIS_URL",
        "HOLDFAST_RETENTION",
        "HOLDFAST_SECRET",
        "HOLDFAST_WEBHOOK_SECRET",
        "HOLDFAST_WORKERS",
        "PORT"
      ])
    )
    expect(faults.join()).not.toContain("hunter2")
  })

  test.each([
    ["HOLDFAST_DATABASE_CONECTIONS", "did you mean HOLDFAST_DATABASE_CONNECTIONS?"],
    ["HOLDFAST_MYSQL_URI", "did you mean HOLDFAST_MYSQL_URL?"],
    ["HOLDFAST_SECRET_FLIE", "did you mean HOLDFAST_SECRET_FILE?"],
    ["HOLDFAST_ENTIRELY_DIFFERENT_THING", "is no setting"]
  ])("the name %s, which no setting has, is refused: %s", async (name, message) => {
    expect(await faultsOf({ ...complete, [name]: "hunter2" })).toEqual([expect.stringContaining(message)])
  })

  test("names that Kubernetes and the repository's other programs use are no misspelt settings", async () => {
    const others = [
      "HOLDFAST_PORT",
      "HOLDFAST_SERVICE_HOST",
      "HOLDFAST_PORT_3000_TCP_ADDR",
      "HOLDFAST_SOURCE"
    ]
    const set = Object.fromEntries(others.map((name) => [name, "tcp://10.0.0.1:3000"]))
    expect(await faultsOf({ ...complete, ...set })).toEqual([])
  })

  test("the report of the settings shows where a value comes from, and no secret", () => {
    const path = file("reported", SECRET)
    const report = reportOfSettings({
      ...complete,
      HOLDFAST_SECRET: "",
      HOLDFAST_SECRET_FILE: path,
      PORT: "80"
    })
    const of = (name: string) => report.find((setting) => setting.name === name)
    expect(of("PORT")).toMatchObject({ value: "80", source: "environment", default: "3000" })
    expect(of("HOST")).toMatchObject({ value: "127.0.0.1", source: "default" })
    expect(of("HOLDFAST_SECRET")).toMatchObject({ value: "***", source: "file" })
    expect(of("HOLDFAST_MYSQL_URL")).toMatchObject({ value: "mysql://***@127.0.0.1:1/x" })
    expect(report.every(({ meaning }) => meaning.length > 10)).toBe(true)
    expect(JSON.stringify(report)).not.toMatch(new RegExp(`hunter2|${SECRET}`))
  })

  // Guarantees: what is convenient in development is closed in production, unless somebody has opened it.
  test("in production no page of another origin, no API reference and no top-up, unless they are set", async () => {
    const development = await settingsOf(complete)
    expect(development).toMatchObject({
      http: { origins: "any", hasApiReference: true },
      charges: { isOn: true }
    })
    const production = { ...complete, NODE_ENV: "production" }
    expect(await settingsOf(production)).toMatchObject({
      http: { origins: [], hasApiReference: false },
      charges: { isOn: false }
    })
    const opened = {
      HOLDFAST_CORS_ORIGINS: "https://shop.example, http://localhost:5173",
      HOLDFAST_API_REFERENCE: "true",
      HOLDFAST_CHARGES: "true"
    }
    expect(await settingsOf({ ...production, ...opened })).toMatchObject({
      http: { origins: ["https://shop.example", "http://localhost:5173"], hasApiReference: true },
      charges: { isOn: true }
    })
    for (const origins of ["shop.example", "https://shop.example/", "https://shop.example,*", "null"])
      await expect(settingsOf({ ...complete, HOLDFAST_CORS_ORIGINS: origins })).rejects.toThrow(
        "HOLDFAST_CORS_ORIGINS must be * or origins"
      )
  })

  test("the documentation has the table of the settings", () => {
    const page = readFileSync(new URL("../../../docs/operations.md", import.meta.url), "utf8")
    expect(page).toContain(`<!-- settings -->\n\n${tableOfSettings()}\n\n<!-- /settings -->`)
  })
})
