// Loaded into a Holdfast server before anything else: leaves a guarantee of its orders out, which the product has no
// switch for. Only to measure what the guarantee costs.
import { OrderCreateLock } from "@holdfast/domain"
import { Locks, type LockBackend, type Lease } from "@holdfast/locks"
import { Effect } from "effect"

const unguarded = (key: string): Lease => ({
  key,
  holder: "nobody",
  token: undefined,
  endsAtMs: () => Number.POSITIVE_INFINITY,
  renew: Effect.succeed("renewed"),
  release: Effect.succeed({ _tag: "Released", handedOver: false })
})

const withoutOrderLock = (backend: LockBackend): LockBackend => ({
  ...backend,
  acquire: (request, restore) =>
    request.scope === OrderCreateLock.name
      ? Effect.succeed(unguarded(request.key))
      : backend.acquire(request, restore)
})

const left = process.env["BENCH_WITHOUT"]
// A fence proves who had the lock last, so it goes with the lock.
if (left === "lock" || left === "fence") Object.assign(OrderCreateLock.policy, { fenced: false })
if (left === "lock") {
  const { layerOf } = Locks
  const patched: typeof layerOf = (order, stores) =>
    layerOf(order, { ...stores, mutexes: Effect.map(stores.mutexes, withoutOrderLock) })
  Object.assign(Locks, { layerOf: patched })
}
