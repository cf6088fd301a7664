import { afterAll, beforeAll } from "vitest"
import { Shop, type ShopOptions } from "./shop.ts"

/**
 * Opens a shop before the tests of the surrounding `describe`. After them it expects that no audit check finds a
 * problem, and stops the shop.
 *
 * @param options are read when the block is declared, before any `beforeAll`.
 * @param prepare takes the shop, and may fill it.
 */
export const useShop = (options: ShopOptions, prepare: (shop: Shop) => unknown): void => {
  let shop: Shop | undefined
  beforeAll(async () => {
    shop = await Shop.open(options)
    await prepare(shop)
  })
  afterAll(async () => {
    try {
      await shop?.expectRightBooks()
    } finally {
      await shop?.stop()
    }
  })
}
