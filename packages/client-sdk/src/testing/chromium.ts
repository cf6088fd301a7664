import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"

const names = ["chromium", "chromium-browser", "google-chrome", "chrome"]

/** Returns the browser in `CHROMIUM`, or else the first one on the path. */
export const findChromium = (): string | undefined => {
  const folders = (process.env["PATH"] ?? "").split(delimiter)
  const files = names.flatMap((name) => folders.map((folder) => join(folder, name)))
  return [process.env["CHROMIUM"] ?? "", ...files].find(isExecutable)
}

const isExecutable = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK)
    return file !== ""
  } catch {
    return false
  }
}

/** A page of a headless browser. */
export interface Page extends AsyncDisposable {
  /** Evaluates an expression in the page and returns its value, awaiting a promise. */
  readonly evaluate: (expression: string) => Promise<unknown>
}

/** Opens a page in a new headless browser with a new profile. Disposing the page closes the browser. */
export const openInChromium = async (executable: string, url: string): Promise<Page> => {
  const profile = mkdtempSync(join(tmpdir(), "holdfast-chromium-"))
  const flags = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run"
  ]
  const browser = spawn(
    executable,
    [...flags, `--user-data-dir=${profile}`, "--remote-debugging-port=0", url],
    // A process group of its own, so that the browser's helpers can be killed with it.
    { detached: true, stdio: ["ignore", "ignore", "pipe"] }
  )
  try {
    const port = await debuggingPort(browser)
    return {
      evaluate: (expression) => evaluate(port, url, expression),
      [Symbol.asyncDispose]: () => close(browser, profile)
    }
  } catch (error) {
    await close(browser, profile)
    throw error
  }
}

/** Reads the DevTools port from the browser's stderr. */
const debuggingPort = async (browser: ChildProcess): Promise<string> => {
  let printed = ""
  for await (const chunk of browser.stderr ?? []) {
    printed += String(chunk)
    const port = /DevTools listening on ws:\/\/127\.0\.0\.1:(\d+)\//.exec(printed)?.[1]
    if (port === undefined) continue
    browser.stderr?.resume()
    return port
  }
  throw new Error(`the browser exited: ${printed}`)
}

interface Target {
  readonly url: string
  readonly webSocketDebuggerUrl: string
}

interface Evaluated {
  readonly result?: { readonly result: { readonly value?: unknown }; readonly exceptionDetails?: unknown }
  readonly error?: { readonly message: string }
}

/** The page was still loading. The expression was lost with the previous document and is evaluated again. */
const NAVIGATED = /navigated|context was destroyed|Cannot find (?:default execution )?context/i
const ARRIVES_WITHIN_MS = 20_000

const evaluate = async (port: string, url: string, expression: string): Promise<unknown> => {
  const deadline = Date.now() + ARRIVES_WITHIN_MS
  let answer = await askPage(port, url, expression)
  while (answer.error !== undefined && NAVIGATED.test(answer.error.message) && Date.now() < deadline)
    answer = await askPage(port, url, expression)
  const { error, result } = answer
  if (result === undefined || result.exceptionDetails !== undefined)
    throw new Error(JSON.stringify(error ?? result?.exceptionDetails))
  return result.result.value
}

/** Sends one command of the DevTools protocol over a new connection. */
const askPage = async (port: string, url: string, expression: string): Promise<Evaluated> => {
  const targets = (await (await fetch(`http://127.0.0.1:${port}/json/list`)).json()) as ReadonlyArray<Target>
  const target = targets.find((candidate) => candidate.url.startsWith(url))
  if (target === undefined) return { error: { message: `not navigated to ${url} yet` } }
  const socket = new WebSocket(target.webSocketDebuggerUrl)
  try {
    await once(socket as never, "open")
    const params = { expression, awaitPromise: true, returnByValue: true }
    socket.send(JSON.stringify({ id: 1, method: "Runtime.evaluate", params }))
    const [message] = (await once(socket as never, "message")) as [{ readonly data: string }]
    return JSON.parse(message.data) as Evaluated
  } finally {
    socket.close()
  }
}

const close = async (browser: ChildProcess, profile: string): Promise<void> => {
  await endGroup(browser)
  rmSync(profile, { recursive: true, force: true, maxRetries: 10 })
}

const LEAVES_WITHIN_MS = 5_000

/** Terminates the browser and its helpers, and kills what has not ended in time. */
const endGroup = async (browser: ChildProcess): Promise<void> => {
  const { pid } = browser
  if (pid === undefined || browser.exitCode !== null || browser.signalCode !== null) return
  const ended = once(browser, "exit")
  browser.kill("SIGTERM")
  const late = setTimeout(() => process.kill(-pid, "SIGKILL"), LEAVES_WITHIN_MS)
  await ended
  clearTimeout(late)
}
