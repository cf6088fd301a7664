// Medusa as its documentation sets it up: its default configuration with its modules in memory, a PostgreSQL database,
// and the payment provider that it ships for tries. Plain JavaScript, because its packages are installed elsewhere.
import { execFileSync } from "node:child_process"
import { copyFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { createRequire } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"

const { PEER_DIRECTORY, PEER_EMAIL, PEER_PASSWORD } = process.env
const port = Number(process.env.PEER_PORT)
const secret = PEER_PASSWORD.repeat(2)
const origin = "http://127.0.0.1"

// A project of its own on the shared packages: Medusa reads its configuration from there and writes into it.
const project = mkdtempSync(join(tmpdir(), "holdfast-medusa-"))
process.on("exit", () => rmSync(project, { recursive: true, force: true }))
symlinkSync(join(PEER_DIRECTORY, "node_modules"), join(project, "node_modules"))
copyFileSync(join(PEER_DIRECTORY, "package.json"), join(project, "package.json"))
writeFileSync(join(project, "tsconfig.json"), "{}")
const http = {
  storeCors: origin,
  adminCors: origin,
  authCors: origin,
  jwtSecret: secret,
  cookieSecret: secret
}
const projectConfig = { databaseUrl: process.env.PEER_POSTGRES_URL, http }
writeFileSync(
  join(project, "medusa-config.js"),
  `const { defineConfig } = require("@medusajs/framework/utils")
module.exports = defineConfig(${JSON.stringify({ admin: { disable: true }, projectConfig })})
`
)

process.chdir(project)
const command = join(PEER_DIRECTORY, "node_modules", "@medusajs", "cli", "cli.js")
const run = (...args) =>
  execFileSync(process.execPath, [command, ...args], { stdio: ["ignore", "ignore", 2] })
run("db:migrate")
run("user", "--email", PEER_EMAIL, "--password", PEER_PASSWORD)

// Not called `require`, so that nobody takes it for a dependency of this repository.
const fromPeer = createRequire(join(PEER_DIRECTORY, "package.json"))
await fromPeer("@medusajs/medusa/commands/start").default({ directory: project, host: "127.0.0.1", port })
while (!(await answers(`${origin}:${port}/health`))) await new Promise((wake) => setTimeout(wake, 100))
process.on("disconnect", () => process.exit())
process.send(port)

function answers(url) {
  return fetch(url).then(
    ({ ok }) => ok,
    () => false
  )
}
