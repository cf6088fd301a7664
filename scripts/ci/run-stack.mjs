// Builds the image and runs ops/compose.yaml with it: the health, the rights, the signals, the balancer, the metrics.
//   node scripts/ci/run-stack.mjs      (needs a Docker engine, and the tarballs of `npm run build`)
// What no registry gives stays out (Grafana); the queries of its dashboard go to the running Prometheus.
import { execFileSync, spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { parse } from "yaml"

const root = join(import.meta.dirname, "..", "..")
const ops = join(root, "ops")
const packed = join(root, ".tsbuild", "packed")
const PROJECT = `holdfast-stack-${process.pid}`
const SERVERS = ["web-1", "web-2", "worker"]

/** What an image of ours may weigh beside its base, and how soon a server has to serve, on a machine that is busy. */
const MAXIMUM_OWN_BYTES = 80_000_000
const MAXIMUM_START_MS = 30_000

/** The longest that a server may take to stop: HOLDFAST_DRAIN, and some time for what is in flight. */
const MAXIMUM_STOP_MS = 15_000

const READY_WITHIN_MS = 90_000

const say = (line) => console.error(`run-stack: ${line}`)
const docker = (...args) =>
  execFileSync("docker", args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }).trim()
const ensure = (condition, message) => {
  if (!condition) throw new Error(message)
}

const hasPlugin = spawnSync("docker", ["compose", "version"], { stdio: "ignore" }).status === 0
const directory = mkdtempSync(join(tmpdir(), "holdfast-stack-"))
const file = join(directory, "compose.json")
const compose = (...args) => {
  const [program, first] = hasPlugin ? ["docker", ["compose"]] : ["docker-compose", []]
  return execFileSync(program, [...first, "-p", PROJECT, "-f", file, "--project-directory", ops, ...args], {
    encoding: "utf8",
    env: { ...process.env, ...SECRETS },
    stdio: ["ignore", "pipe", "pipe"]
  })
}

const SECRETS = {
  MYSQL_PASSWORD: randomBytes(16).toString("hex"),
  HOLDFAST_SECRET: randomBytes(32).toString("base64"),
  GRAFANA_PASSWORD: "not used"
}

/** ops/compose.yaml on free ports, without what this machine has no image of, and with a Prometheus that asks each second. */
const writeCompose = () => {
  const { name: _name, ...stack } = parse(readFileSync(join(ops, "compose.yaml"), "utf8"), { merge: true })
  for (const key of Object.keys(stack)) if (key.startsWith("x-")) delete stack[key]
  const { grafana: _grafana, ...services } = stack.services
  const prometheus = join(directory, "prometheus")
  execFileSync("cp", ["-r", join(ops, "prometheus"), prometheus])
  const settings = join(prometheus, "prometheus.yaml")
  writeFileSync(
    settings,
    readFileSync(settings, "utf8").replace("scrape_interval: 15s", "scrape_interval: 1s")
  )
  execFileSync("chmod", ["-R", "a+rX", directory])
  services.prometheus.volumes = [`${prometheus}:/etc/prometheus:ro`, "prometheus:/prometheus"]
  services.prometheus.ports = ["127.0.0.1::9090"]
  services.haproxy.ports = ["127.0.0.1::8080"]
  writeFileSync(file, JSON.stringify({ ...stack, services }))
}

const containerOf = (service) => compose("ps", "-q", service).trim()
const inspect = (what, format) => docker("inspect", "--format", format, what)
const urlOf = (service, port) => `http://${compose("port", service, String(port)).trim()}`

const eventually = async (what, check, withinMs = READY_WITHIN_MS) => {
  const deadlineMs = performance.now() + withinMs
  for (;;) {
    const result = await check().catch((error) => error)
    if (!(result instanceof Error) && result) return result
    if (performance.now() > deadlineMs)
      throw new Error(`${what}: not within ${withinMs} ms`, { cause: result })
    await sleep(250)
  }
}

const imageFigures = () => {
  const images = ["mysql", "redis", "node", "haproxy", "prometheus"]
  execFileSync(join(root, "scripts/ci/build-images.sh"), images, { stdio: "inherit" })
  if (!existsSync(packed))
    execFileSync("node", [join(root, "scripts/run.mjs"), "build"], { stdio: "inherit" })
  execFileSync("docker", ["build", "-q", "-f", join(ops, "Dockerfile"), "-t", "holdfast", packed], {
    stdio: ["ignore", "ignore", "inherit"]
  })
  const bytes = Number(docker("image", "inspect", "--format", "{{.Size}}", "holdfast"))
  const baseBytes = Number(docker("image", "inspect", "--format", "{{.Size}}", "node:24-slim"))
  ensure(bytes - baseBytes < MAXIMUM_OWN_BYTES, `the image weighs ${bytes - baseBytes} bytes beside its base`)
  ensure(/^holdfast v\d/.test(docker("run", "--rm", "--read-only", "holdfast", "--version")), "no version")
  return { imageMb: Math.round(bytes / 1e6), ownMb: Math.round((bytes - baseBytes) / 1e6) }
}

/** A server may write nowhere, is nobody, and is the process that gets the signals. */
const checkRights = (service) => {
  const container = containerOf(service)
  const inside = (...command) => spawnSync("docker", ["exec", container, ...command], { encoding: "utf8" })
  ensure(inspect(container, "{{.Config.User}}") === "10001:10001", `${service} runs as somebody`)
  ensure(
    inspect(container, "{{.HostConfig.ReadonlyRootfs}}") === "true",
    `the root of ${service} may be written`
  )
  const writing = `fs.writeFileSync("/app/x", "")`
  ensure(inside("node", "-e", writing).stderr.includes("EROFS"), `${service} has written to its root`)
  const status = inside(
    "node",
    "-e",
    `process.stdout.write(fs.readFileSync("/proc/1/status", "utf8"))`
  ).stdout
  ensure(/^Name:\s+(node|MainThread|holdfast)/m.test(status), `process 1 of ${service} is no server`)
  ensure(/^CapBnd:\s+0+$/m.test(status) && /^NoNewPrivs:\s+1$/m.test(status), `${service} has capabilities`)
}

/** From the start of the container until the line that says that it serves. */
const startMsOf = (service) => {
  const container = containerOf(service)
  const startedAtMs = Date.parse(inspect(container, "{{.State.StartedAt}}"))
  const lines = docker("logs", container)
    .split("\n")
    .map((line) => JSON.parse(line))
  const serving = lines.find(({ message }) => message === "serving")
  ensure(serving !== undefined, `${service} does not say that it serves`)
  const startMs = Date.parse(serving.time) - startedAtMs
  ensure(startMs < MAXIMUM_START_MS, `${service} served after ${startMs} ms`)
  return startMs
}

/** Asks through the balancer, one call after the other, until told to stop. */
const keepAsking = (url) => {
  const figures = { calls: 0, failed: 0 }
  const over = new AbortController()
  const ask = async () => {
    while (!over.signal.aborted) {
      const status = await fetch(`${url}/trpc/products.page`).then(
        async (answer) => (await answer.text(), answer.status),
        (error) => error
      )
      figures.calls += 1
      if (status !== 200) figures.failed += 1
      await sleep(5)
    }
  }
  const asking = [ask(), ask(), ask(), ask()]
  return async () => {
    over.abort()
    await Promise.all(asking)
    return figures
  }
}

/** `docker stop` while callers come through the balancer: nobody notices, and the server ends by itself. */
const stopUnderLoad = async (url) => {
  const stopAsking = keepAsking(url)
  await sleep(500)
  const container = containerOf("web-1")
  const startedAtMs = performance.now()
  const stopping = eventually("web-1 stops", async () => inspect(container, "{{.State.Status}}") === "exited")
  docker("kill", "--signal", "SIGTERM", container)
  await sleep(1_000)
  docker("kill", "--signal", "SIGTERM", container)
  await stopping
  const stopMs = Math.round(performance.now() - startedAtMs)
  const figures = await stopAsking()
  const code = inspect(container, "{{.State.ExitCode}}")
  ensure(code === "0", `web-1 ended with ${code}`)
  ensure(stopMs < MAXIMUM_STOP_MS, `web-1 stopped after ${stopMs} ms`)
  ensure(figures.failed === 0 && figures.calls > 0, `${figures.failed} of ${figures.calls} calls failed`)
  return { stopMs, ...figures }
}

/** Every query of the dashboard and of the alerts, evaluated by the running Prometheus; and the metrics in them that it has not seen. */
const checkQueries = async (url) => {
  const ask = async (path) => {
    const answer = await fetch(`${url}/api/v1/${path}`)
    return (await answer.json()).data
  }
  await eventually("Prometheus reaches all servers", async () => {
    const { activeTargets } = await ask("targets?state=active")
    return activeTargets.length === SERVERS.length && activeTargets.every(({ health }) => health === "up")
  })
  const { panels } = JSON.parse(readFileSync(join(ops, "grafana/holdfast.json"), "utf8"))
  const { groups } = await ask("rules")
  const rules = groups.flatMap((group) => group.rules)
  ensure(rules.length > 10, "Prometheus has not loaded the alerts")
  const queries = [
    ...panels.flatMap(({ targets }) => targets.map(({ expr }) => expr)),
    ...rules.map(({ query }) => query)
  ]
  const known = new Set(await eventually("metrics", async () => ask("label/__name__/values")))
  // Metrics of what nobody has done yet; whether each exists at all, the tests compare with the code.
  const unseen = new Set()
  for (const query of queries) {
    const answer = await ask(`query?query=${encodeURIComponent(query)}`)
    ensure(answer?.resultType !== undefined, `Prometheus refuses ${query}`)
    for (const [name] of query.matchAll(/\bholdfast_\w+/g)) if (!known.has(name)) unseen.add(name)
  }
  return { queries: queries.length, alerts: rules.length, unseen: [...unseen] }
}

const remove = () => {
  try {
    compose("down", "-v", "--remove-orphans", "-t", "1")
  } catch (error) {
    say(`not removed: ${error.stderr ?? error.message}`)
  }
  rmSync(directory, { recursive: true, force: true })
}

const run = async () => {
  const image = imageFigures()
  say(`the image weighs ${image.imageMb} MB, ${image.ownMb} MB beside its base`)
  writeCompose()
  compose("up", "-d")
  const url = urlOf("haproxy", 8080)
  await eventually("the balancer finds a server", async () => (await fetch(`${url}/readyz`)).ok)
  for (const service of SERVERS) {
    const health = () => inspect(containerOf(service), "{{.State.Health.Status}}")
    await eventually(`${service} is healthy`, async () => health() === "healthy")
    checkRights(service)
  }
  const startMs = Object.fromEntries(SERVERS.map((service) => [service, startMsOf(service)]))
  say(`served after ${JSON.stringify(startMs)} ms`)
  const stop = await stopUnderLoad(url)
  say(
    `web-1 ended ${stop.stopMs} ms after its signal; ${stop.failed} of ${stop.calls} calls failed meanwhile`
  )
  compose("start", "web-1")
  const monitoring = await checkQueries(urlOf("prometheus", 9090))
  console.log(JSON.stringify({ ...image, startMs, stop, monitoring }))
}

const startedAtMs = performance.now()
try {
  await run()
} catch (error) {
  if (existsSync(file)) {
    try {
      say(compose("logs", "--no-color", "--tail", "8"))
    } catch {}
  }
  console.error(error)
  process.exitCode = 1
} finally {
  remove()
}
say(`done after ${Math.round((performance.now() - startedAtMs) / 1000)} s`)
