import type { TestAccount, Welcome } from "./platform/http/first-page.ts"

/** What the first page of the shop shows. */
export const welcome = (accounts: () => ReadonlyArray<TestAccount>): Welcome => ({
  name: "Holdfast",
  summary: "A commerce core that stays exact under any concurrency.",
  accounts,
  samples: (url) => [
    {
      title: "Read the catalogue with curl",
      text: `curl --get '${url}/trpc/products.page' \\
  --data-urlencode 'input={"limit":5}'`
    },
    {
      title: "Read the catalogue in TypeScript, with @holdfast/client-sdk",
      text: `import { createClient } from "@holdfast/client-sdk"

const shop = createClient({ url: "${url}" })
const { items } = await shop.products.page({ limit: 5 })
for (const { name, priceMinor, sku, stock } of items)
  console.log(\`\${sku}: \${name}, \${stock} left at \${priceMinor}\`)`
    }
  ]
})
