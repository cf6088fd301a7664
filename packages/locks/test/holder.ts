/** A process that acquires a lock and dies while it holds it. */
import { crashPoint } from "@holdfast/testkit/crash-point"
import { Effect } from "effect"
import { withLock } from "../src/with-lock.ts"
import { brief, member } from "./members.ts"

const { run } = member(process.env["REDIS_URL"] ?? "")
await run(withLock(brief, "a")(Effect.promise(async () => crashPoint("locked"))))
