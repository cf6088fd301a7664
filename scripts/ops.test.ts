import { execFileSync, spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { describe, expect, test } from "vitest"
import { parse } from "yaml"
import { root } from "./bootstrap.mjs"

interface Service {
  readonly image: string
  readonly read_only?: boolean
  readonly cap_drop?: ReadonlyArray<string>
  readonly command?: ReadonlyArray<string>
  readonly stop_grace_period?: string
  readonly environment?: Readonly<Record<string, string>>
  readonly depends_on?: ReadonlyArray<string> | Readonly<Record<string, object>>
  readonly volumes?: ReadonlyArray<string>
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: object
}

const read = (file: string) => readFileSync(join(root, "ops", file), "utf8")
const yaml = (file: string): unknown => parse(read(file), { merge: true })
const { services, volumes } = yaml("compose.yaml") as Compose
const own = Object.entries(services).filter(([, { image }]) => image === "holdfast")
const settings = new Map(
  [
    ...readFileSync(join(root, "docs/operations.md"), "utf8").matchAll(/^\| `(\w+)` \| (?:`([^`]+)`)? ?\|/gm)
  ].map(([, name = "", fallback = ""]) => [name, fallback])
)

const isInstalled = (program: string) => spawnSync(program, ["--version"]).error === undefined

describe("ops/compose.yaml", () => {
  test("runs two web servers, a worker and one migration", () => {
    expect(own.map(([name, { command }]) => [name, command?.join(" ")])).toEqual([
      ["migrate", "migrate"],
      ["web-1", "serve --role web"],
      ["web-2", "serve --role web"],
      ["worker", "serve --role worker"]
    ])
  })

  test("gives the server settings that exist, a read-only root and no capabilities", () => {
    for (const [name, service] of own) {
      expect({ name, ...service }).toMatchObject({ read_only: true, cap_drop: ["ALL"] })
      for (const variable of Object.keys(service.environment ?? {}))
        expect([...settings.keys()]).toContain(variable)
    }
  })

  // Guarantees: nobody kills a server that still finishes what it began.
  test("waits for longer than a server takes to stop", () => {
    const secondsOf = (text: string) => Number(/^(\d+) ?s/.exec(text)?.[1])
    const stopping = secondsOf(settings.get("HOLDFAST_SHUTDOWN_WAIT")!)
    for (const [, { environment, stop_grace_period: grace = "" }] of own)
      expect(secondsOf(grace)).toBeGreaterThan(stopping + secondsOf(environment!["HOLDFAST_DRAIN"]!))
  })

  test("depends on services, mounts files and names volumes that exist", () => {
    for (const { depends_on: dependencies = [], volumes: mounts = [] } of Object.values(services)) {
      const names = Array.isArray(dependencies) ? dependencies : Object.keys(dependencies)
      for (const name of names) expect(Object.keys(services)).toContain(name)
      for (const mount of mounts) {
        const [source = ""] = mount.split(":")
        if (source.startsWith(".")) expect(existsSync(join(root, "ops", source)), source).toBe(true)
        else expect(Object.keys(volumes)).toContain(source)
      }
    }
  })

  test("has the servers that haproxy and Prometheus ask, on the ports that they have", () => {
    const balanced = [...read("haproxy/haproxy.cfg").matchAll(/^ +server \S+ (\S+):(\d+)$/gm)]
    expect(balanced.map(([, host, port]) => `${host}:${port}`)).toEqual(["web-1:3000", "web-2:3000"])
    const { scrape_configs: scrapes } = yaml("prometheus/prometheus.yaml") as {
      scrape_configs: ReadonlyArray<{ static_configs: ReadonlyArray<{ targets: ReadonlyArray<string> }> }>
    }
    const targets = scrapes.flatMap(({ static_configs: all }) => all.flatMap((each) => each.targets))
    const port = own[0]?.[1].environment?.["HOLDFAST_METRICS_PORT"]
    expect(targets).toEqual(["web-1", "web-2", "worker"].map((name) => `${name}:${port}`))
  })
})

test("ops/Dockerfile runs the command as a user without rights, as process 1, with a health check", () => {
  const lines = read("Dockerfile").split("\n")
  const of = (word: string) => lines.filter((line) => line.startsWith(`${word} `))
  expect(of("USER")).toEqual(["USER 10001:10001"])
  // The exec form: a shell in between would keep the signals to itself.
  expect(JSON.parse(of("ENTRYPOINT")[0]!.replace("ENTRYPOINT ", ""))).toEqual([
    "node",
    "/app/node_modules/@holdfast/server/dist/cli.js"
  ])
  expect(JSON.parse(of("CMD")[0]!.replace("CMD ", ""))).toEqual(["serve"])
  expect(read("Dockerfile")).toMatch(/^HEALTHCHECK [^]*\/livez/m)
})

test("ops/systemd starts the command by role, and kills it after it has had its time", () => {
  const unit = read("systemd/holdfast@.service")
  expect(unit).toMatch(/^ExecStart=\/usr\/bin\/node \S+\/@holdfast\/server\/dist\/cli\.js serve --role %i$/m)
  expect(unit).toContain("KillMode=mixed")
  expect(unit).toContain("TimeoutStopSec=30s")
})

test("ops/Dockerfile installs the Effect that the packages are tested with", () => {
  const { catalog } = parse(readFileSync(join(root, "pnpm-workspace.yaml"), "utf8")) as {
    readonly catalog: Readonly<Record<string, string>>
  }
  expect(read("Dockerfile")).toContain(` effect@${catalog["effect"]} `)
})

test.runIf(isInstalled("systemd-analyze"))("systemd understands the unit", () => {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-unit-"))
  const unit = join(directory, "holdfast@web.service")
  // Its program need not be installed here.
  writeFileSync(unit, read("systemd/holdfast@.service").replace("/usr/bin/node", process.execPath))
  const { status, stderr } = spawnSync("systemd-analyze", ["verify", unit], { encoding: "utf8" })
  expect({ status, faults: stderr.split("\n").filter((line) => line.includes(directory)) }).toEqual({
    status: 0,
    faults: []
  })
  rmSync(directory, { recursive: true })
})

interface Dashboard {
  readonly uid: string
  readonly panels: ReadonlyArray<{
    readonly id: number
    readonly type: string
    readonly title: string
    readonly gridPos: Readonly<Record<"x" | "y" | "w" | "h", number>>
    readonly targets: ReadonlyArray<{ readonly expr: string; readonly refId: string }>
  }>
}

test("ops/grafana has a dashboard whose panels each have a place and a query", () => {
  const { panels, uid } = JSON.parse(read("grafana/holdfast.json")) as Dashboard
  expect(uid).toBe("holdfast")
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
  const places = panels.map(({ gridPos: { x, y } }) => `${x} ${y}`)
  expect(new Set(places).size).toBe(panels.length)
  for (const { gridPos, targets, title } of panels) {
    expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24)
    expect(targets.every(({ expr, refId }) => expr !== "" && refId !== "")).toBe(true)
  }
})

test("ops/prometheus has alerts that say what is wrong and what to do", () => {
  const { groups } = yaml("prometheus/alerts.yaml") as {
    groups: ReadonlyArray<{ rules: ReadonlyArray<{ alert: string; annotations: Record<string, string> }> }>
  }
  const rules = groups.flatMap((group) => group.rules)
  expect(rules.length).toBeGreaterThan(10)
  for (const { alert, annotations } of rules)
    expect([alert, Object.keys(annotations)]).toEqual([alert, ["summary", "action"]])
})

test.runIf(isInstalled("promtool"))("promtool accepts the alerts", () => {
  execFileSync("promtool", ["check", "rules", join(root, "ops/prometheus/alerts.yaml")])
})

test.runIf(isInstalled("haproxy"))("haproxy understands its configuration", () => {
  // Its hosts are only known inside of the network of the containers.
  const local = read("haproxy/haproxy.cfg").replaceAll(/ web-\d:3000/g, " 127.0.0.1:3000")
  const directory = mkdtempSync(join(tmpdir(), "holdfast-haproxy-"))
  writeFileSync(join(directory, "haproxy.cfg"), local)
  execFileSync("haproxy", ["-c", "-f", join(directory, "haproxy.cfg")], { stdio: "pipe" })
  rmSync(directory, { recursive: true })
})
