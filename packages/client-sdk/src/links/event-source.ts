// What only subscriptions need. `subscription-link.ts` loads it with the first of them.
export { httpSubscriptionLink, TRPCClientError } from "@trpc/client"
export { EventSource } from "eventsource"
