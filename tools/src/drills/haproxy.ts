import { type ChildProcess, execFileSync, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** A running haproxy. */
export interface Balancer extends AsyncDisposable {
  readonly url: string
}

/**
 * Starts haproxy in front of servers on ports of this machine. It asks each for `/readyz` every 100 ms, and repeats no
 * request: what fails, fails the caller.
 */
export const startBalancer = async (port: number, servers: ReadonlyArray<number>): Promise<Balancer> => {
  requireHaproxy()
  const directory = mkdtempSync(join(tmpdir(), "holdfast-haproxy-"))
  const file = join(directory, "haproxy.cfg")
  writeFileSync(file, configOf(port, servers))
  const child = spawn("haproxy", ["-db", "-f", file], { stdio: ["ignore", "ignore", "inherit"] })
  await once(child, "spawn")
  return {
    url: `http://127.0.0.1:${port}`,
    [Symbol.asyncDispose]: async () => {
      await stopped(child)
      rmSync(directory, { recursive: true, force: true })
    }
  }
}

const requireHaproxy = () => {
  try {
    execFileSync("haproxy", ["-v"], { stdio: "ignore" })
  } catch {
    throw new Error("the drill needs haproxy; install it, on Debian with: apt-get install haproxy")
  }
}

const stopped = async (child: ChildProcess) => {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, "exit")
  child.kill("SIGTERM")
  await gone
}

const configOf = (port: number, servers: ReadonlyArray<number>) => `
defaults
  mode http
  retries 0
  timeout connect 2s
  timeout client 75s
  timeout server 75s
  timeout queue 5s
  timeout check 5s
frontend web
  bind 127.0.0.1:${port}
  default_backend servers
backend servers
  balance roundrobin
  option httpchk
  http-check send meth GET uri /readyz
  http-check expect status 200
  default-server check inter 100ms fall 1 rise 1
${servers.map((server) => `  server s${server} 127.0.0.1:${server}`).join("\n")}
`
