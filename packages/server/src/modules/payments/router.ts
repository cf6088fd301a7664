import { contract } from "@holdfast/domain"
import type { Implement } from "../../app.ts"
import { getPayment, processPayment } from "./service.ts"

export const paymentsRouter = (implement: Implement) => ({
  process: implement(contract.payments.process, processPayment),
  get: implement(contract.payments.get, getPayment)
})
