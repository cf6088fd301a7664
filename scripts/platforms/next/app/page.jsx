import * as sdk from "@holdfast/client-sdk"
import { redirect } from "next/navigation"
import { useShop } from "./program.mjs"

export const dynamic = "force-dynamic"

async function visit() {
  "use server"
  const result = await useShop(sdk, { url: process.env.SHOP_URL })
  redirect(`/?result=${encodeURIComponent(JSON.stringify(result))}`)
}

export default async function Page({ searchParams }) {
  const { result } = await searchParams
  return (
    <form action={visit}>
      <output>{result}</output>
      <button>Visit the shop</button>
    </form>
  )
}
