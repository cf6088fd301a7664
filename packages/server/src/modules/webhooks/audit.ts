import { announcedSince, type Check } from "../../platform/audit/check.ts"

/** Events older than the first that is surely kept may be gone; a delivery with a later number has its event. */
const firstKeptEvent = `COALESCE((SELECT MIN(id) FROM outbox WHERE created_at > ${announcedSince}),
        (SELECT MAX(id) + 1 FROM outbox), 0)`

/** How the intake makes a body, as text: the event's number and topic, then its payload. */
const bodyOfEvent = `CONCAT('{"eventId":', o.id, ',"topic":"', o.topic, '",', SUBSTRING(o.payload, 2))`

const position = `(SELECT CAST(COALESCE(MAX(state), '0') AS SIGNED) FROM worker_turns WHERE worker = 'events for webhooks')`

/** The deliveries of webhooks against the outbox. A shop without a webhook has neither a position nor deliveries. */
export const deliveryChecks: ReadonlyArray<Check> = [
  {
    name: "deliveries",
    promise:
      "every payment that the webhooks' position is past has its delivery, or was set aside with a reason",
    countSql: `SELECT COUNT(*) AS n FROM outbox WHERE topic = 'order.paid' AND sequence <= ${position}`,
    problemsSql: `
      SELECT o.id AS event, o.sequence, o.payload FROM outbox o
        LEFT JOIN webhook_deliveries d ON d.event_id = o.id
        LEFT JOIN set_aside s ON s.job = 'events for webhooks' AND s.item = CAST(o.id AS BINARY)
      WHERE o.topic = 'order.paid' AND o.sequence <= ${position} AND d.id IS NULL AND s.item IS NULL`
  },
  {
    name: "delivery bodies",
    promise: "every delivery says what its event says, and is of an event that exists",
    countSql: "SELECT COUNT(*) AS n FROM webhook_deliveries",
    problemsSql: `
      SELECT d.id AS delivery, d.event_id AS event, d.topic, d.body, d.status
      FROM webhook_deliveries d LEFT JOIN outbox o ON o.id = d.event_id
      WHERE (o.id IS NULL AND d.event_id >= ${firstKeptEvent})
        OR d.topic <> o.topic OR CAST(d.body AS BINARY) <> CAST(${bodyOfEvent} AS BINARY)`
  },
  {
    name: "delivery state",
    promise:
      "every delivery was sent, is a dead letter, or is due for less than an hour while a server sends",
    countSql: "SELECT COUNT(*) AS n FROM webhook_deliveries",
    problemsSql: `
      SELECT d.id AS delivery, d.event_id AS event, d.status, d.attempts, d.next_attempt_at
      FROM webhook_deliveries d LEFT JOIN worker_turns t ON t.worker = 'events for webhooks'
      WHERE (d.status <> 'pending' AND d.attempts = 0)
        OR (d.status = 'pending' AND d.next_attempt_at < t.last_round_at - INTERVAL 1 HOUR)`
  }
]
