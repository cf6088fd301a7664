import { contract } from "@holdfast/domain"
import type { Implement } from "../../app.ts"
import { topSellers } from "./service.ts"

/** The ranking is asked for where the products are. */
export const rankingRouter = (implement: Implement) => ({
  topSellers: implement(contract.products.topSellers, topSellers)
})
