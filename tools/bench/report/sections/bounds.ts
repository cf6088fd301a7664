/** What bounds the figures that miss their targets. Written by hand, after a look at profiles of the server. */
export const boundsSection = (): string => `## What bounds it

- **The machine** of this run was slow: the floor took 1.2 to 2 times as much as in an earlier run of the same code, 893 µs
  for an order for instance. So absolute targets say little here, and the ratios to the floor more: an issued coupon 0.76
  before and an order 0.87.
- **Reads** have a flat profile (above): the floor writes three headers with an answer, Holdfast more than twenty, among
  them those of security, limits and versions. A caller's session is read again every 1.5 to 4 seconds.
- **A process that has just started** costs up to three times as much as one that has answered some thousand calls of a
  kind: V8 compiles what has run often. That is most of what a single caller's order costs in a short measurement.
- **A payment** costs about as much as an order, 650 µs are wanted. Its profile is flat: of the server's time, a sixth is
  Effect's fibers, a tenth the writes to sockets, 6 % collections of garbage, 4 % each Kysely, ioredis, and fingerprint and
  answer of the idempotency key. It takes and gives back one lock (two scripts), and its share of a transaction of nine
  statements: fences, orders, balances, answers, accounts, ledger, payments, states, event.
- **Sold out** reaches half of the rate of a refused input, four fifths are wanted. Beside that it asks the gate, shares a
  read of the campaign's row, and stores its answer, because a retry has to get the same one.
- **Coupons of many campaigns** share transactions as those of one do. With 1,000 campaigns, most calls of a measurement
  are the first ones of their campaigns, and each of those builds a gate.
- **A lone caller** pays for one transaction and two locks by itself, one round trip after the other.
- **Two processes** are no faster than one here: the callers and both stores share the same two cores, and one process
  with its stores keeps them busy.
- **1,024 callers** at once are more than one process admits ([limits](limits.md)); the refused ones ask again at once.
- **Idle**: what is left are timers and the looks of the jobs. With 100 new campaigns the figure includes the first look
  at each of their gates.`
