import { mkdirSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { renderTimeline } from "./render-timeline.ts"
import type { Timeline } from "./timeline.ts"

let written = 0

/**
 * Writes the timeline to a new HTML file.
 *
 * @param directory default: the environment variable `HOLDFAST_TIMELINES` (set it to a directory that your CI keeps),
 * else `holdfast-timelines` in the system's temporary directory
 * @returns the absolute path
 */
export const writeTimeline = (
  timeline: Timeline,
  directory: string = process.env["HOLDFAST_TIMELINES"] ?? join(tmpdir(), "holdfast-timelines")
): string => {
  mkdirSync(directory, { recursive: true })
  const slug = timeline.title
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, 60)
  const path = resolve(directory, `${slug}-${process.pid}-${Date.now()}-${++written}.html`)
  writeFileSync(path, renderTimeline(timeline), { flag: "wx" })
  return path
}
