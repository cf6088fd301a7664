import { contract } from "@holdfast/domain"
import type { Implement } from "../../app.ts"
import { deadLetters, retryDelivery } from "./service.ts"

export const webhooksAdmin = (implement: Implement) => ({
  deadLetters: implement(contract.admin.deadLetters, deadLetters),
  retryDelivery: implement(contract.admin.retryDelivery, retryDelivery)
})
