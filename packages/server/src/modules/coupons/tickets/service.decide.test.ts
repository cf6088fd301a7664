import { CouponId, TicketId } from "@holdfast/domain"
import fc from "fast-check"
import { expect, test } from "vitest"
import { accepted, NOW, userId } from "../../../../test/decisions.ts"
import { bytesOf } from "../../../platform/db/ids.ts"
import { issueTickets } from "./service.ts"

const couponId = (n: number) => CouponId.make(`01890000-0000-7000-8005-${String(n).padStart(12, "0")}`)
const ticketId = (n: number) => TicketId.make(`01890000-0000-7000-8006-${String(n).padStart(12, "0")}`)
const place = fc.record({ coupon: fc.nat(1), user: fc.nat(3) })

test("a user has one place in the queue of a campaign, and asking again keeps it", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(place, { selector: ({ coupon, user }) => `${coupon}/${user}` }),
      fc.array(place),
      (waiting, asked) => {
        const rows = waiting.map(({ coupon, user }, n) => ({
          place: n,
          id: bytesOf(ticketId(100 + n)),
          coupon_id: bytesOf(couponId(coupon)),
          user_id: bytesOf(userId(user)),
          waiting_user: bytesOf(userId(user)),
          status: "waiting" as const,
          refusal: null,
          requested_at: NOW,
          settled_at: null
        }))
        const requests = asked.map(({ coupon, user }, n) => ({
          id: ticketId(n),
          couponId: couponId(coupon),
          userId: userId(user)
        }))
        const outputs = accepted(issueTickets(rows, requests, NOW)).map(({ output }) => output.id)
        const ticketOfPlace = new Map(
          waiting.map(({ coupon, user }, n) => [`${coupon}/${user}`, ticketId(100 + n)])
        )
        const expected = asked.map(({ coupon, user }, n) => {
          const name = `${coupon}/${user}`
          if (!ticketOfPlace.has(name)) ticketOfPlace.set(name, ticketId(n))
          return ticketOfPlace.get(name)
        })
        expect(outputs).toEqual(expected)
        const inserted = accepted(issueTickets(rows, requests, NOW)).filter(
          ({ request }) => request !== undefined
        )
        expect(inserted).toHaveLength(ticketOfPlace.size - waiting.length)
      }
    )
  )
})
