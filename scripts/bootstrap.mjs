// Makes a fresh checkout runnable: the pinned pnpm installs the pinned dependencies, including Node 24.
// Plain JavaScript without dependencies, because it runs before the installation, on any Node from version 20.
import { execFile, spawn } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"

export const root = join(dirname(fileURLToPath(import.meta.url)), "..")
/** The package manager, in the version that wrote the lockfile. */
export const PNPM = "pnpm@12.21.0"
export const NPX = process.platform === "win32" ? "npx.cmd" : "npx"
const MINIMUM_NODE_MAJOR = 20
const stampFile = join(root, "node_modules", ".holdfast-installed")
const lockDirectory = join(root, "node_modules", ".holdfast-installing")

/** Changes when an earlier installation is out of date. The lockfile covers the manifests of all packages. */
function fingerprint() {
  const hash = createHash("sha256")
  for (const file of ["pnpm-lock.yaml", "pnpm-workspace.yaml", "package.json"])
    hash.update(readFileSync(join(root, file)))
  return hash.digest("hex")
}

const installed = () =>
  existsSync(stampFile) && existsSync(node24()) && readFileSync(stampFile, "utf8") === fingerprint()

/** The path of Node 24, which is installed as the npm package `node`. */
export function node24() {
  return join(root, "node_modules", "node", "bin", process.platform === "win32" ? "node.exe" : "node")
}

/** A terminal sends Ctrl-C to all of its programs. Forwarding it would deliver it twice, which forces an exit. */
const hasTerminal = () => [process.stdin, process.stdout, process.stderr].some((stream) => stream.isTTY)

const NPM_CHECK_MS = 500

/**
 * Calls back when the npm process that started this one is gone. An npm killed with SIGKILL forwards no signal, and its
 * children would keep running and hold their data directory. Returns a function that stops the watch.
 */
function whenNpmDies(callback) {
  if (process.env.npm_lifecycle_event === undefined || process.platform === "win32") return () => {}
  const parent = process.ppid
  const ancestors = [parent]
  // npm runs scripts through a shell. While that shell exists, npm is its parent.
  execFile("ps", ["-o", "ppid=,comm=", "-p", String(parent)], (error, line) => {
    const [, grandparent, name] = /^\s*(\d+)\s+(\S+)/.exec(error ? "" : line) ?? []
    if (/(^|\/)-?(sh|dash|bash|zsh|ash|busybox)$/.test(name ?? "")) ancestors.push(Number(grandparent))
  })
  const timer = setInterval(() => {
    if (process.ppid !== parent || !ancestors.every(isAlive)) callback()
  }, NPM_CHECK_MS)
  return () => clearInterval(timer)
}

function isAlive(pid) {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error.code === "EPERM"
  }
}

/** Runs a program to its end on our terminal, forwards the signals we receive, and returns its exit code. */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: "inherit", ...options })
    const forward = (signal) => {
      if (signal !== "SIGINT" || !hasTerminal()) child.kill(signal)
    }
    const stopWatching = whenNpmDies(() => child.kill("SIGTERM"))
    process.on("SIGINT", forward)
    process.on("SIGTERM", forward)
    child.on("error", reject)
    child.on("close", (code, signal) => {
      stopWatching()
      process.off("SIGINT", forward)
      process.off("SIGTERM", forward)
      resolve(code ?? (signal === "SIGINT" ? 130 : 1))
    })
  })
}

/** Keeps two commands from installing at once. The lock is a directory; an old one belongs to a process that died. */
async function withInstallLock(install) {
  mkdirSync(join(root, "node_modules"), { recursive: true })
  for (;;) {
    try {
      mkdirSync(lockDirectory)
      break
    } catch {
      if (installed()) return
      if (existsSync(lockDirectory) && Date.now() - statSync(lockDirectory).mtimeMs > 600_000)
        rmSync(lockDirectory, { recursive: true, force: true })
      await new Promise((wake) => setTimeout(wake, 500))
    }
  }
  try {
    if (!installed()) await install()
  } finally {
    rmSync(lockDirectory, { recursive: true, force: true })
  }
}

/** Installs the dependencies when they are missing or out of date. Reads three files otherwise. */
export async function bootstrap() {
  const major = Number(process.versions.node.split(".")[0])
  if (major < MINIMUM_NODE_MAJOR) {
    throw new Error(
      `Node ${MINIMUM_NODE_MAJOR} or newer is needed to start (this is ${process.version}). Install it from https://nodejs.org and run the command again.`
    )
  }
  if (installed()) return
  await withInstallLock(async () => {
    console.error(`holdfast: installing dependencies with ${PNPM} (the first time takes a minute)`)
    const code = await run(NPX, ["--yes", PNPM, "install", "--frozen-lockfile", "--reporter=append-only"], {
      stdio: ["ignore", 2, 2]
    })
    if (code !== 0)
      throw new Error(
        `the installation failed (pnpm ended with ${code}); its output above says why. Run the same command to try again.`
      )
    writeFileSync(stampFile, fingerprint())
  })
}
