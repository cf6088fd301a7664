import { contract } from "@holdfast/domain"
import type { Implement } from "../../app.ts"
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
  bySku: implement(contract.products.bySku, productBySku),
  page: implement(contract.products.page, productPage),
  search: implement(contract.products.search, searchProducts),
  categories: implement(contract.products.categories, categories),
  watchStock: implement(contract.products.watchStock, watchStock)
})

export const productsAdmin = (implement: Implement) => ({
  createProduct: implement(contract.admin.createProduct, createProduct),
  adjustStock: implement(contract.admin.adjustStock, adjustStock)
})
