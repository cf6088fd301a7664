import { contract } from "@holdfast/domain"
import type { Implement } from "../App.ts"
import { deadLetters, retryDelivery } from "./service.ts"

export const webhooksRouter = (implement: Implement) => ({
  deadLetters: implement(contract.webhooks.deadLetters, deadLetters),
  retry: implement(contract.webhooks.retry, retryDelivery)
})
