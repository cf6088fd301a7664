import { contract } from "@holdfast/domain"
import type { Implement } from "../App.ts"
import { adjustStock, createProduct, productBySku, productPage } from "./service.ts"

export const productsRouter = (implement: Implement) => ({
  create: implement(contract.products.create, createProduct),
  bySku: implement(contract.products.bySku, productBySku),
  page: implement(contract.products.page, productPage),
  adjustStock: implement(contract.products.adjustStock, adjustStock)
})
