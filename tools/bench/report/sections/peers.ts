import type { PeersResult } from "../../peers/index.ts"
import { paragraphs, table } from "../markdown.ts"

/** Holdfast beside shops of another make; nothing when they were not measured. */
export const peersSection = (peers: PeersResult | undefined): string =>
  peers === undefined
    ? ""
    : paragraphs(
        "## Other shops",
        `A purchase is what a customer does until the shop says that it is paid: in Holdfast two calls, the order and its
payment; in Vendure, on the same MySQL server, one call that puts the product into the cart, and one with address, shipping,
order and payment; in Medusa, on a PostgreSQL server of its own, five calls from the cart to the order. Both are set up as
their documentation says, and do more for a purchase: taxes, promotions, shipping.

The **last units**: ${customersOf(peers)} customers have a unit in the cart, and all buy at once. **Sales**: ${peers.callers} callers buy
units of 200 products that do not run out, after as many have bought for twice as long. A sale of Holdfast costs more here
than an order and a payment of 64 callers above: fewer callers share a transaction ([callers](#callers)), and a process that
starts for this has not compiled all of its code when it is measured. \`npm run bench -- peers\` measures only this.`,
        table(
          [
            "",
            "units",
            "customers",
            "sold",
            "failed",
            "left, says the shop",
            "exact",
            "sales a second",
            "p50 ms",
            "µs a sale"
          ],
          peers.shops.map(({ lastUnits, name, sales, version }) => [
            `${name} ${version}`,
            lastUnits[0]!.units,
            lastUnits[0]!.customers,
            lastUnits.map(({ sold }) => sold).join(", "),
            lastUnits.map(({ failed }) => failed).join(", "),
            lastUnits.map(({ unitsLeft }) => unitsLeft).join(", "),
            lastUnits.every(({ isExact }) => isExact) ? "yes" : "**no**",
            sales.perSecond,
            sales.p50Ms,
            sales.cpuUs ?? "–"
          ])
        )
      )

const customersOf = ({ shops }: PeersResult): number => shops[0]!.lastUnits[0]!.customers
