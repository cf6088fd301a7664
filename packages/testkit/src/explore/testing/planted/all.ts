import { checkThenInsert } from "./check-then-insert.ts"
import { decrementWithoutGiveBack } from "./decrement-without-give-back.ts"
import { doubleIdempotentExecution } from "./double-idempotent-execution.ts"
import { leaseExpiredWhileHeld } from "./lease-expired-while-held.ts"
import { lockReleasedBeforeCommit } from "./lock-released-before-commit.ts"
import { lostUpdate } from "./lost-update.ts"
import { oppositeRowOrder } from "./opposite-row-order.ts"
import type { PlantedBug } from "./planted.ts"
import { publishBeforeCommit } from "./publish-before-commit.ts"
import { releaseWithoutOwnerCheck } from "./release-without-owner-check.ts"
import { selectThenUpdate } from "./select-then-update.ts"
import { staleSnapshot } from "./stale-snapshot.ts"
import { twoHoldersAfterRestart } from "./two-holders-after-restart.ts"

/** Twelve bugs that the explorer must find, each with a correction that it must accept. */
export const plantedBugs: ReadonlyArray<() => PlantedBug> = [
  lostUpdate,
  releaseWithoutOwnerCheck,
  leaseExpiredWhileHeld,
  twoHoldersAfterRestart,
  selectThenUpdate,
  oppositeRowOrder,
  checkThenInsert,
  doubleIdempotentExecution,
  decrementWithoutGiveBack,
  staleSnapshot,
  publishBeforeCommit,
  lockReleasedBeforeCommit
]
