import {
  BalanceLimitExceeded,
  ChargeAmountNotAllowed,
  ChargeLimitExceeded,
  ChargesDisabled,
  contract,
  Points,
  PointsChargeLock,
  type UserId,
  UserNotFound
} from "@holdfast/domain"
import { Effect, Result, Schema } from "effect"
import { ServerConfig, type ServerSettings } from "../../config.ts"
import { command } from "../../platform/command/command.ts"
import { makePages } from "../../platform/db/pagination.ts"
import { insertEvents } from "../../platform/outbox/outbox.ts"
import { type Call, query } from "../../platform/trpc/handler.ts"
import { Balances } from "./balances.ts"
import {
  type Accounts,
  countTopUps,
  insertAccounts,
  insertPointMovements,
  listPointMovements,
  lockAccounts,
  moveBalances,
  type NewPointMovement,
  type TopUpCount
} from "./repository.ts"

/**
 * The largest balance that is exact everywhere it travels. A grant or a top-up leaves room in it for all that the account
 * has spent, because that may come back.
 */
const MAXIMUM_BALANCE = Number.MAX_SAFE_INTEGER

/** Tops up the caller's account within the shop's policy: amounts in steps, so often a day and a month. */
export const charge = command(contract.points.charge, {
  prepare: prepareTopUp,
  lock: ({ userId }) => PointsChargeLock.of(userId),
  group: { queue: () => "accounts" },
  transaction: {
    lock: lockToppedUp,
    // Every user has an account, so one that is counted and not locked is held by another transaction.
    blockedBy: ({ balances, counts }, { userId }) =>
      counts.has(userId) && !balances.has(userId) ? userId : undefined,
    decide: topUp,
    write: (decided) => insertCredits(decided.map(({ movement }) => movement))
  }
})

/** Gives a user points, for a reason that the ledger keeps. */
export const grant = command(contract.admin.grantPoints, {
  prepare: ({ caller, input }) => Effect.succeed({ ...input, actorId: caller.userId }),
  transaction: {
    lock: (grants) => lockDistinct(grants.map(({ userId }) => userId)),
    decide: (accounts, grants) => {
      const credit = makeCredit(accounts)
      return grants.map(({ actorId, amount, reason, userId }) =>
        credit({ userId, delta: amount, kind: "grant", reason, actorId })
      )
    },
    write: (granted) => insertCredits(granted.map(({ movement }) => movement)),
    audit: ({ movement: { balanceAfter, delta, userId } }) => ({
      subject: `user:${userId}`,
      before: { balance: balanceAfter - delta },
      after: { balance: balanceAfter }
    })
  }
})

type TopUpPolicy = Omit<ServerSettings["charges"], "isOn">

interface RequestedTopUp {
  readonly userId: UserId
  readonly amount: number
  readonly policy: TopUpPolicy
}

/** An amount below the minimum is a multiple of no step, so the bounds are checked first. */
function prepareTopUp({ caller, input: { amount } }: Call<typeof contract.points.charge>) {
  return Effect.gen(function* () {
    const { charges: policy } = yield* ServerConfig
    if (!policy.isOn) return yield* new ChargesDisabled()
    const { maximum, minimum, step } = policy
    const limit =
      amount < minimum ? "minimum" : amount > maximum ? "maximum" : amount % step > 0 ? "step" : undefined
    if (limit !== undefined)
      return yield* new ChargeAmountNotAllowed({ amount, limit, minimum, maximum, step })
    const requested: RequestedTopUp = { userId: caller.userId, amount, policy }
    return requested
  })
}

/** The accounts come first: top-ups of one account wait here, and each then counts those before it. */
function lockToppedUp(topUps: ReadonlyArray<RequestedTopUp>, heldRows: "skip" | "wait") {
  return Effect.gen(function* () {
    const userIds = [...new Set(topUps.map(({ userId }) => userId))]
    const accounts = yield* lockDistinct(userIds, heldRows)
    return { ...accounts, counts: yield* countTopUps(userIds) }
  })
}

interface LockedAccounts {
  readonly balances: Accounts["balances"]
  /** Absent when no account has spent anything. */
  readonly spent?: Accounts["spent"]
  readonly counts: ReadonlyMap<UserId, TopUpCount>
}

/** Top-ups of one account follow one another; each counts for the next. */
export function topUp(
  { balances, counts, spent = new Map() }: LockedAccounts,
  topUps: ReadonlyArray<RequestedTopUp>
): ReadonlyArray<Result.Result<Credit, ChargeLimitExceeded | BalanceLimitExceeded>> {
  const credit = makeCredit({ balances, spent })
  const current = new Map(counts)
  return topUps.map(({ amount, policy, userId }) => {
    const count = current.get(userId)
    // An account is never deleted, unless its user is; the caller then learns that the token is out of date.
    if (count === undefined) throw new Error(`user ${userId} has no account`)
    const exceeded = exceededLimit(count, policy)
    if (exceeded !== undefined) return Result.fail(exceeded)
    const credited = Result.mapError(
      credit({ userId, delta: amount, kind: "charge", actorId: userId }),
      (error) => {
        if (error instanceof UserNotFound) throw error
        return error
      }
    )
    if (Result.isSuccess(credited))
      current.set(userId, { ...count, today: count.today + 1, thisMonth: count.thisMonth + 1 })
    return credited
  })
}

const exceededLimit = ({ now, thisMonth, today }: TopUpCount, policy: TopUpPolicy) => {
  const [year, month, day] = [now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate()]
  if (thisMonth >= policy.perMonth)
    return new ChargeLimitExceeded({
      limit: "month",
      maximum: policy.perMonth,
      resetsAt: new Date(Date.UTC(year, month + 1))
    })
  if (today >= policy.perDay)
    return new ChargeLimitExceeded({
      limit: "day",
      maximum: policy.perDay,
      resetsAt: new Date(Date.UTC(year, month, day + 1))
    })
  return undefined
}

/** The new balance, and the movement that leads to it. */
interface Credit {
  readonly output: { readonly balance: Points }
  readonly movement: NewPointMovement
}

/** Decides credits of locked accounts, one after the other. Pure but for the running balances. */
const makeCredit = ({ balances, spent }: Accounts) => {
  const running = new Map(balances)
  return (
    entry: Omit<NewPointMovement, "balanceAfter">
  ): Result.Result<Credit, UserNotFound | BalanceLimitExceeded> => {
    const { delta, userId } = entry
    const balance = running.get(userId)
    if (balance === undefined) return Result.fail(new UserNotFound({ userId }))
    if (balance > MAXIMUM_BALANCE - (spent.get(userId) ?? 0) - delta)
      return Result.fail(new BalanceLimitExceeded({ balance, maximum: MAXIMUM_BALANCE }))
    const balanceAfter = balance + delta
    running.set(userId, balanceAfter)
    const movement: NewPointMovement = { ...entry, balanceAfter }
    return Result.succeed({ output: { balance: Points.make(balanceAfter) }, movement })
  }
}

export const balance = query(
  contract.points.balance,
  Effect.fnUntraced(function* ({ caller }) {
    const { of } = yield* Balances
    return { balance: Points.make((yield* of(caller.userId)) ?? 0) }
  })
)

const pages = makePages(Schema.Struct({ movement: Schema.Int }))

export const history = query(contract.points.history, ({ caller, input }) =>
  pages(
    input,
    (before, limit) => listPointMovements(caller.userId, before?.movement, limit),
    ({ id }) => ({ movement: id })
  ).pipe(Effect.map((page) => ({ ...page, items: page.items.map(({ movement }) => movement) })))
)

/** Opens the accounts of new users: every user has exactly one, which starts empty. */
export const openAccounts = insertAccounts

/**
 * Locks accounts in primary-key order until the transaction ends. Users without an account are left out, and with "skip"
 * the accounts that other transactions hold.
 */
export const lockBalances = (userIds: Iterable<UserId>, heldRows: "skip" | "wait" = "wait") =>
  Effect.map(lockDistinct(userIds, heldRows), ({ balances }) => balances)

const lockDistinct = (userIds: Iterable<UserId>, heldRows: "skip" | "wait" = "wait") => {
  const distinct = [...new Set(userIds)]
  const none: Accounts = { balances: new Map(), spent: new Map() }
  return distinct.length === 0 ? Effect.succeed(none) : lockAccounts(distinct, heldRows)
}

/** Adds points to locked accounts. */
export const insertCredits = Effect.fnUntraced(function* (credits: ReadonlyArray<NewPointMovement>) {
  yield* insertMovements(credits)
  yield* insertEvents(
    credits.map((credit) => ({
      topic: "points.credited",
      payload: { userId: credit.userId, amount: credit.delta, kind: credit.kind },
      cause: credit
    }))
  )
})

/** Debits locked accounts: every `delta` is 0 or below. */
export const insertDebits = (debits: ReadonlyArray<NewPointMovement>) => insertMovements(debits)

/** The guard can only refuse what the row locks failed to protect, so a refusal is a bug. */
const insertMovements = Effect.fnUntraced(function* (movements: ReadonlyArray<NewPointMovement>) {
  const deltaOfUser = new Map<UserId, number>()
  const spentOfUser = new Map<UserId, number>()
  for (const { delta, kind, userId } of movements) {
    deltaOfUser.set(userId, (deltaOfUser.get(userId) ?? 0) + delta)
    if (kind === "payment" || kind === "refund")
      spentOfUser.set(userId, (spentOfUser.get(userId) ?? 0) - delta)
  }
  const moved = yield* moveBalances(deltaOfUser, MAXIMUM_BALANCE, spentOfUser)
  if (moved !== deltaOfUser.size)
    return yield* Effect.die(new Error(`${deltaOfUser.size} accounts were locked, ${moved} could be moved`))
  yield* insertPointMovements(movements)
})
