import { contract } from "@holdfast/domain"
import type { Implement } from "../../app.ts"
import { cancelOrder } from "./cancel.ts"
import { createOrder, getOrder, orderPage } from "./service.ts"
import { watchOrder } from "./watch.ts"

export const ordersRouter = (implement: Implement) => ({
  create: implement(contract.orders.create, createOrder),
  get: implement(contract.orders.get, getOrder),
  page: implement(contract.orders.page, orderPage),
  cancel: implement(contract.orders.cancel, cancelOrder),
  watch: implement(contract.orders.watch, watchOrder)
})
