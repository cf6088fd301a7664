import { contract } from "@holdfast/domain"
import type { Implement } from "../App.ts"
import {
  adjustStock,
  categories,
  createProduct,
  productBySku,
  productPage,
  searchProducts,
  watchStock
} from "./service.ts"

export const productsRouter = (implement: Implement) => ({
  create: implement(contract.products.create, createProduct),
  bySku: implement(contract.products.bySku, productBySku),
  page: implement(contract.products.page, productPage),
  search: implement(contract.products.search, searchProducts),
  categories: implement(contract.products.categories, categories),
  adjustStock: implement(contract.products.adjustStock, adjustStock),
  watchStock: implement(contract.products.watchStock, watchStock)
})
