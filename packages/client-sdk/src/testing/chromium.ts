import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, join } from "node:path"

const names = ["chromium", "chromium-browser", "google-chrome", "chrome"]

/** The browser of `CHROMIUM`, else the first one on the path. */
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

/** Opens a page in a headless browser of its own, with a profile of its own, until it is disposed. */
export const openInChromium = (executable: string, url: string): AsyncDisposable => {
  const profile = mkdtempSync(join(tmpdir(), "holdfast-chromium-"))
  const flags = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run"
  ]
  const browser = spawn(executable, [...flags, `--user-data-dir=${profile}`, url], {
    // A group of its own, so that its helpers end with it.
    detached: true,
    stdio: "ignore"
  })
  return {
    [Symbol.asyncDispose]: async () => {
      await endGroup(browser)
      rmSync(profile, { recursive: true, force: true, maxRetries: 10 })
    }
  }
}

const LEAVES_WITHIN_MS = 5_000

/** Asks the browser to end its helpers and itself; what has not gone in time is killed. */
const endGroup = async (browser: ChildProcess): Promise<void> => {
  const { pid } = browser
  if (pid === undefined || browser.exitCode !== null || browser.signalCode !== null) return
  const ended = once(browser, "exit")
  browser.kill("SIGTERM")
  const late = setTimeout(() => process.kill(-pid, "SIGKILL"), LEAVES_WITHIN_MS)
  await ended
  clearTimeout(late)
}
