import { endOf, type Operation } from "./operation.ts"

/** A place in the {@link EventList}: positive for an event, 0 for the end. */
export type EventNode = number

const HEAD: EventNode = 0
export const END: EventNode = 0

/**
 * The calls and returns of completed operations in real-time order, as a doubly linked list. An operation is removed in
 * constant time and restored in reverse order (Wing and Gong's algorithm in Lowe's representation).
 *
 * Node numbers grow with time, so they can be compared like instants.
 */
export class EventList {
  readonly #next: Int32Array
  readonly #previous: Int32Array
  readonly #callNode: Int32Array
  readonly #returnNode: Int32Array
  readonly #returnsFrom: Int32Array
  /** The operation of a node; negative for returns (`~operation`). */
  readonly #event: Int32Array

  constructor(operations: ReadonlyArray<Operation<unknown, unknown>>) {
    const count = operations.length
    const events = operations.flatMap((operation, index) => [
      { atNs: operation.calledAtNs, isReturn: 0, event: index },
      { atNs: endOf(operation), isReturn: 1, event: ~index }
    ])
    // Among equal instants calls come first: operations that touch in time count as concurrent, so a correct object
    // is never accused.
    events.sort((a, b) => a.atNs - b.atNs || a.isReturn - b.isReturn)

    this.#next = new Int32Array(2 * count + 1)
    this.#previous = new Int32Array(2 * count + 1)
    this.#event = new Int32Array(2 * count + 1)
    this.#callNode = new Int32Array(count)
    this.#returnNode = new Int32Array(count)
    events.forEach(({ event }, position) => {
      const node = position + 1
      this.#event[node] = event
      if (event < 0) this.#returnNode[~event] = node
      else this.#callNode[event] = node
      this.#previous[node] = node - 1
      this.#next[node - 1] = node
    })
    this.#next[2 * count] = END
    this.#returnsFrom = new Int32Array(2 * count + 1)
    for (let node = 2 * count, returns = 0; node > 0; node--) {
      if (this.isReturn(node)) returns++
      this.#returnsFrom[node] = returns
    }
  }

  first(): EventNode {
    return this.next(HEAD)
  }

  next(node: EventNode): EventNode {
    return at(this.#next, node)
  }

  isReturn(node: EventNode): boolean {
    return at(this.#event, node) < 0
  }

  operationAt(node: EventNode): number {
    const event = at(this.#event, node)
    return event < 0 ? ~event : event
  }

  returnOf(operation: number): EventNode {
    return at(this.#returnNode, operation)
  }

  /** The first return in the list, whose operation must be linearized next at the latest. */
  firstReturn(): EventNode {
    let node = this.first()
    while (node !== END && !this.isReturn(node)) node = this.next(node)
    return node
  }

  /** The number of returns at and after this node, of linearized operations too. */
  returnsFrom(node: EventNode): number {
    return node === END ? 0 : at(this.#returnsFrom, node)
  }

  lift(operation: number): void {
    this.#unlink(at(this.#callNode, operation))
    this.#unlink(at(this.#returnNode, operation))
  }

  /** Undoes the latest {@link lift}; operations are restored in reverse order. */
  restore(operation: number): void {
    this.#link(at(this.#returnNode, operation))
    this.#link(at(this.#callNode, operation))
  }

  #unlink(node: EventNode): void {
    const previous = at(this.#previous, node)
    const next = at(this.#next, node)
    this.#next[previous] = next
    if (next !== END) this.#previous[next] = previous
  }

  #link(node: EventNode): void {
    this.#next[at(this.#previous, node)] = node
    const next = at(this.#next, node)
    if (next !== END) this.#previous[next] = node
  }
}

/** The index is in range by construction; the fallback only satisfies the compiler. */
const at = (array: Int32Array, index: number): number => array[index] ?? END
