import { serviceSetup } from "@holdfast/testkit/vitest"

// One MySQL or MariaDB and one Redis or Valkey for the whole run, from wherever this machine has them.
export default serviceSetup()
