import type { Contract, Procedure } from "./procedure.ts"

/** The paths of a contract's procedures, `orders.create` for instance: the name they have on the wire. */
export const pathsOf = (contract: Contract): ReadonlyMap<Procedure, string> => {
  const paths = new Map<Procedure, string>()
  for (const [group, procedures] of Object.entries(contract)) {
    for (const [name, procedure] of Object.entries(procedures)) paths.set(procedure, `${group}.${name}`)
  }
  return paths
}
