import { Array as Chunks, Effect } from "effect"
import { Cache } from "./platform/cache/cache.ts"
import { consumerOf } from "./platform/outbox/consumer.ts"
import type { OutboxEvent } from "./platform/outbox/outbox.ts"
import { CATALOGUE_TAG, productTag } from "./modules/catalog/service.ts"
import { CAMPAIGNS_TAG, campaignTag } from "./modules/coupons/campaigns/cached.ts"

/** Tags that are invalidated at a time: a backlog of large orders has more than Redis takes within the deadline. */
const CHUNK = 1_000

/** The cache tags of what an event has changed. */
const tagsOf = ({ payload, topic }: OutboxEvent): ReadonlyArray<string> => [
  ...(topic === "product.created" ? [CATALOGUE_TAG] : []),
  ...(topic === "coupon.created" ? [CAMPAIGNS_TAG] : []),
  ...(typeof payload["couponId"] === "string" ? [campaignTag(payload["couponId"])] : []),
  ...(Array.isArray(payload["skus"]) ? payload["skus"].map((sku) => productTag(String(sku))) : [])
]

/** Without those that this process has invalidated after it committed the event: most of them, as a rule. */
const tagsLeft = (cache: Cache["Service"], event: OutboxEvent): ReadonlyArray<string> => {
  const { committedAtMs } = event
  return committedAtMs === undefined
    ? tagsOf(event)
    : tagsOf(event).filter((tag) => !cache.isInvalidatedSince(tag, committedAtMs))
}

/**
 * Repeats the invalidation that each request does before it answers: for a process that died between its commit and the
 * invalidation, and for one that could not reach Redis.
 */
export const cacheInvalidator = consumerOf({
  group: "cache",
  topics: [
    "product.created",
    "stock.adjusted",
    "order.created",
    "order.cancelled",
    "coupon.created",
    "coupon.changed",
    "coupon.issued"
  ],
  handle: (events) =>
    Cache.use((cache) =>
      Effect.forEach(
        Chunks.chunksOf(new Set(events.flatMap((event) => tagsLeft(cache, event))), CHUNK),
        (tags) => cache.invalidate(tags),
        { discard: true }
      )
    )
})
