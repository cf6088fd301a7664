import type { Services } from "@holdfast/testkit"
import type { Shop, ShopName } from "./shops.ts"

/** What a measurement works with. */
export interface Stage {
  readonly services: Services
  readonly shops: ReadonlyArray<Shop>
  readonly holdfast: Shop
  readonly rounds: number
  readonly seconds: number
  readonly memoryMinutes: number
  readonly onProgress: (line: string) => void
}

/** Holdfast's figures with those of the others beside them. */
export const beside = <Figures extends object>(figures: ReadonlyMap<ShopName, Figures>) => {
  const { holdfast, ...others } = Object.fromEntries(figures) as Partial<Record<ShopName, Figures>>
  return { ...(holdfast as Figures), ...others }
}
