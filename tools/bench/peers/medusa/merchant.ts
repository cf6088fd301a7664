import type { Ask } from "./ask.ts"

/** What a customer of the shop has to name, and what its merchant does while it sells. */
export interface Sale {
  readonly apiKey: string
  readonly regionId: string
  readonly shippingOptionId: string
  /** Puts a product on sale. Gives the id of its variant. */
  readonly addProduct: (stock: number) => Promise<string>
  /** The units of a variant that are neither sold nor promised. */
  readonly unitsLeft: (variantId: string) => Promise<number>
}

interface WithId {
  readonly id: string
}

/** Sets up a region, a warehouse, shipping and a key for the shop, as the documentation tells a merchant. */
export const openForSale = async (merchant: Ask): Promise<Sale> => {
  const channel = await firstOf(merchant, "sales_channels", "/admin/sales-channels")
  const profile = await firstOf(merchant, "shipping_profiles", "/admin/shipping-profiles")
  const store = await firstOf(merchant, "stores", "/admin/stores")
  const currencies = [{ currency_code: "gbp", is_default: true }]
  await merchant(`/admin/stores/${store.id}`, { supported_currencies: currencies })
  const { region } = await merchant<{ readonly region: WithId }>("/admin/regions", {
    name: "United Kingdom",
    currency_code: "gbp",
    countries: ["gb"],
    payment_providers: ["pp_system_default"]
  })
  const location = await addWarehouse(merchant, channel)
  const shippingOptionId = await addShipping(merchant, location, profile)
  const { api_key: key } = await merchant<{ readonly api_key: WithId & { readonly token: string } }>(
    "/admin/api-keys",
    { title: "shop", type: "publishable" }
  )
  await merchant(`/admin/api-keys/${key.id}/sales-channels`, { add: [channel.id] })
  const itemIds = new Map<string, string>()
  return {
    apiKey: key.token,
    regionId: region.id,
    shippingOptionId,
    addProduct: async (stock) => {
      const title = `peer-${itemIds.size + 1}`
      const { itemId, variantId } = await addProduct(merchant, { title, channel, profile })
      await merchant(levelsOf(itemId), { location_id: location.id, stocked_quantity: stock })
      itemIds.set(variantId, itemId)
      return variantId
    },
    unitsLeft: async (variantId) => {
      const { inventory_levels: levels } = await merchant<{
        readonly inventory_levels: ReadonlyArray<Level>
      }>(levelsOf(itemIds.get(variantId)!))
      return levels.reduce((sum, level) => sum + level.stocked_quantity - level.reserved_quantity, 0)
    }
  }
}

interface Level {
  readonly stocked_quantity: number
  readonly reserved_quantity: number
}

const levelsOf = (itemId: string): string => `/admin/inventory-items/${itemId}/location-levels`

/** What every shop has from the start. */
const firstOf = async (merchant: Ask, name: string, path: string): Promise<WithId> =>
  (await merchant<Readonly<Record<string, ReadonlyArray<WithId>>>>(path))[name]![0]!

const addWarehouse = async (merchant: Ask, channel: WithId): Promise<WithId> => {
  const { stock_location: location } = await merchant<{ readonly stock_location: WithId }>(
    "/admin/stock-locations",
    { name: "Warehouse" }
  )
  const path = `/admin/stock-locations/${location.id}`
  await merchant(`${path}/sales-channels`, { add: [channel.id] })
  await merchant(`${path}/fulfillment-providers`, { add: ["manual_manual"] })
  return location
}

/** Shipping that costs nothing. Gives the id of the option. */
const addShipping = async (merchant: Ask, location: WithId, profile: WithId): Promise<string> => {
  const { stock_location } = await merchant<{
    readonly stock_location: { readonly fulfillment_sets: ReadonlyArray<WithId> }
  }>(`/admin/stock-locations/${location.id}/fulfillment-sets?fields=*fulfillment_sets`, {
    name: "Post",
    type: "shipping"
  })
  const { fulfillment_set } = await merchant<{
    readonly fulfillment_set: { readonly service_zones: ReadonlyArray<WithId> }
  }>(`/admin/fulfillment-sets/${stock_location.fulfillment_sets[0]!.id}/service-zones`, {
    name: "United Kingdom",
    geo_zones: [{ type: "country", country_code: "gb" }]
  })
  const { shipping_option } = await merchant<{ readonly shipping_option: WithId }>(
    "/admin/shipping-options",
    {
      name: "Post",
      service_zone_id: fulfillment_set.service_zones[0]!.id,
      shipping_profile_id: profile.id,
      provider_id: "manual_manual",
      price_type: "flat",
      type: { label: "Post", description: "Post", code: "post" },
      prices: [{ currency_code: "gbp", amount: 0 }],
      rules: []
    }
  )
  return shipping_option.id
}

interface Created {
  readonly product: {
    readonly variants: ReadonlyArray<
      WithId & { readonly inventory_items: ReadonlyArray<{ readonly inventory_item_id: string }> }
    >
  }
}

const addProduct = async (
  merchant: Ask,
  { channel, profile, title }: { readonly title: string; readonly channel: WithId; readonly profile: WithId }
): Promise<{ readonly variantId: string; readonly itemId: string }> => {
  const { product } = await merchant<Created>("/admin/products?fields=*variants,*variants.inventory_items", {
    title,
    status: "published",
    shipping_profile_id: profile.id,
    sales_channels: [{ id: channel.id }],
    options: [{ title: "Size", values: ["One"] }],
    variants: [
      {
        title: "One",
        sku: title,
        manage_inventory: true,
        options: { Size: "One" },
        prices: [{ currency_code: "gbp", amount: 1 }]
      }
    ]
  })
  const variant = product.variants[0]!
  return { variantId: variant.id, itemId: variant.inventory_items[0]!.inventory_item_id }
}
