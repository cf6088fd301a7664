// Loaded into a Holdfast server before anything else: profiles it between two messages of the process that started it.
import { writeFileSync } from "node:fs"
import { Session } from "node:inspector/promises"

/** What the process that measures sends. */
export type ProfilerMessage =
  | { readonly profile: "start" }
  | { readonly profile: "stop"; readonly file: string }

/** Often enough for a second of profile to say something, rarely enough not to slow the server down. */
const EVERY_US = 500

const session = new Session()
session.connect()
await session.post("Profiler.enable")
await session.post("Profiler.setSamplingInterval", { interval: EVERY_US })

process.on("message", (message: ProfilerMessage) => {
  if (message.profile === "start") void session.post("Profiler.start")
  if (message.profile === "stop")
    void session
      .post("Profiler.stop")
      .then(({ profile }) => writeFileSync(message.file, JSON.stringify(profile)))
})
